// What stops a delivery, in words for the person who reads the page.

/** Something that ends the work, or halts it until somebody acts. */
export class Problem extends Error {
  /**
   * @param {string} what What happened, to what.
   * @param {string} todo What to do about it.
   * @param {{ again?: boolean }} [more] `again`: pressing a button may help.
   */
  constructor(what, todo, { again = false } = {}) {
    super(what);
    this.name = "Problem";
    this.todo = todo;
    this.again = again;
  }
}

const NEWER = "The sender's program may be newer than this hub: ask whoever runs the hub, or collect it with `consign receive`.";

/**
 * What came cannot be what a sender makes.
 * @param {string} why
 */
export function impossible(why) {
  return new Problem(`The delivery is impossible: ${why}.`, NEWER);
}

/**
 * What any failure is for people.
 * @param {unknown} error
 * @returns {Problem}
 */
export function problemOf(error) {
  if (error instanceof Problem) return error;
  const name = error instanceof Error ? error.name : "";
  const text = error instanceof Error ? error.message : String(error);
  if (name === "QuotaExceededError") {
    return new Problem(
      "There is no room left for the delivery: the disk is full, or this browser gives the page no more.",
      "Free some room, then go on. What is here stays.",
      { again: true },
    );
  }
  if (name === "SecurityError") {
    return new Problem(
      "This browser lets the page keep nothing.",
      "Private windows of some browsers do that: open the link in an ordinary window.",
    );
  }
  return new Problem(
    `This browser failed at the delivery: ${text}`,
    "Go on; what is here stays. When it fails again, collect the delivery with `consign receive`.",
    { again: true },
  );
}
