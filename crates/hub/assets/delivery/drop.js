// What is dropped on a page: taken in one place, and nowhere else opened by the browser instead of the page.

/**
 * Has drops of files end nowhere but in a place that takes them.
 * @param {HTMLElement | null} [place]
 * @param {(dropped: DataTransfer) => void} [take]
 */
export function takeDrops(place = null, take = () => {}) {
  const isThere = (/** @type {DragEvent} */ { target }) => target instanceof Node && place !== null && place.contains(target);
  addEventListener("dragover", (event) => {
    // Text that is dragged into a field is the browser's.
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = isThere(event) ? "copy" : "none";
    place?.classList.toggle("over", isThere(event));
  });
  addEventListener("dragleave", (event) => {
    if (isThere(event)) place?.classList.remove("over");
  });
  addEventListener("drop", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    place?.classList.remove("over");
    if (isThere(event)) take(event.dataTransfer);
  });
}
