// What the console of a community needs a script for: spending a link, and parts of pages that change.
"use strict";

// The secret of a link stands behind the #, which no browser sends anywhere. It leaves the address
// bar and the history before it is posted.
const signIn = document.querySelector("form[data-sign-in]");
function spend() {
  const secret = location.hash.slice(1);
  if (!signIn || !/^[0-9a-f]{64}$/.test(secret)) return;
  history.replaceState(null, "", location.pathname);
  signIn.elements.namedItem("secret").value = secret;
  signIn.requestSubmit();
}
spend();
addEventListener("hashchange", spend);

// What the server sends was escaped there, and the policy of this page lets nothing inline run.
const part = document.querySelector("[data-live]");
if (part) {
  const silent = document.getElementById("silent");
  // The picture is wider than a phone: there the table that says the same is open.
  const rows = () => part.querySelector("details.rows");
  if (rows() && matchMedia("(max-width: 40rem)").matches) rows().open = true;
  const source = new EventSource(part.dataset.live);
  source.addEventListener("part", (event) => {
    if (silent) silent.hidden = true;
    // What has the focus keeps it.
    const at = document.activeElement;
    const held = part.contains(at) ? at.getAttribute("href") ?? at.getAttributeNS("http://www.w3.org/1999/xlink", "href") : null;
    const scrolled = part.querySelector(".map")?.scrollLeft ?? 0;
    const isOpen = rows()?.open ?? false;
    part.innerHTML = event.data;
    if (rows()) rows().open = isOpen;
    const map = part.querySelector(".map");
    if (map) map.scrollLeft = scrolled;
    if (held !== null) {
      for (const link of part.querySelectorAll("a")) {
        if (link.getAttribute("href") === held) {
          link.focus({ preventScroll: true });
          break;
        }
      }
    }
  });
  source.addEventListener("error", () => {
    if (silent) silent.hidden = false;
  });
  addEventListener("pagehide", () => source.close());
}
