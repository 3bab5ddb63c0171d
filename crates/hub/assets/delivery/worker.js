// The worker of a page: takes orders, tells what happens.
//
//   to it:   { order: "open", link }, then "receive", "refuse", "archive", "remove"
//   from it: { tells: "offered", encoded, hasBegun }, "waits", "progress", "kept", "done", "refused",
//            "archiving", "archive", "removed", "failed"

import { Kept, forget, streamFile } from "./kept.js";
import { Problem, problemOf } from "./problem.js";
import { Recipient } from "./recipient.js";
import { Vault } from "./vault.js";
import { archived } from "./saving.js";

/** How long a page that is being left is waited for. */
const LEAVING_MS = 5000;

/** @type {{ recipient: Recipient, kept: Kept, opened: Awaited<ReturnType<Recipient["open"]>>, name: string } | null} */
let delivery = null;

/** @param {object} message */
function tell(message) {
  postMessage(message);
}

const watcher = {
  waits: (/** @type {object} */ waiting) => tell({ tells: "waits", ...waiting }),
  progress: (/** @type {number} */ verifiedBytes, /** @type {number} */ streamBytes) =>
    tell({ tells: "progress", verifiedBytes, streamBytes }),
};

/**
 * Holds a delivery for this tab until the worker ends.
 * @param {string} name
 */
async function hold(name) {
  const patience = performance.now() + LEAVING_MS;
  for (;;) {
    const isHeld = await new Promise((resolve) => {
      navigator.locks.request(`delivery ${name}`, { ifAvailable: true }, (lock) => {
        resolve(lock !== null);
        return lock === null ? undefined : new Promise(() => {});
      });
    });
    if (isHeld) return;
    if (performance.now() > patience) {
      throw new Problem(
        "Another tab of this browser has this delivery.",
        "Go on there, or close it and load this page again.",
        { again: true },
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

const orders = {
  /** @param {{ link: import("./link.js").Link }} order */
  async open({ link }) {
    await hold(link.name);
    const vault = new Vault(link.id, link.secret, "segment");
    const kept = await Kept.open(link.name, vault);
    const recipient = new Recipient(link, vault, kept, watcher);
    const opened = await recipient.open();
    delivery = { recipient, kept, opened, name: link.name };
    const hasBegun = await kept.isMarked("begun");
    tell({ tells: "offered", encoded: opened.encoded, hasBegun });
    if (hasBegun) await orders.receive();
  },

  async receive() {
    const { recipient, kept, opened } = held();
    await kept.mark("begun");
    await checkRoom(opened.layout.streamBytes - kept.count * (1 << 20));
    const isTaken = await recipient.receive(opened.header, opened.layout, () => tell({ tells: "kept" }));
    tell({ tells: "done", isTaken });
  },

  async refuse() {
    await held().recipient.refuse();
    await orders.remove();
    tell({ tells: "refused" });
  },

  /** All files in one archive, whose contents stay where they are until they are saved. */
  async archive() {
    const { opened, name } = held();
    const file = await streamFile(name);
    const done = (/** @type {number} */ bytes) => tell({ tells: "archiving", bytes });
    tell({ tells: "archive", blob: await archived(file, opened.header, opened.layout, done) });
  },

  async remove() {
    const { kept, name } = held();
    kept.close();
    await forget(name);
    tell({ tells: "removed" });
  },
};

function held() {
  if (!delivery) throw new Error("no delivery is open");
  return delivery;
}

/**
 * Whether the browser has room for so much.
 * @param {number} needed In bytes.
 */
async function checkRoom(needed) {
  const { quota = Infinity, usage = 0 } = await navigator.storage.estimate();
  if (quota - usage >= needed) return;
  const text = (/** @type {number} */ bytes) => `${(bytes / 1e9).toFixed(1)} GB`;
  throw new Problem(
    `This browser has room for ${text(quota - usage)}; ${text(needed)} are still to come.`,
    "Free room on the disk and go on, or collect the delivery with `consign receive`.",
    { again: true },
  );
}

onmessage = async ({ data }) => {
  try {
    await orders[/** @type {keyof orders} */ (data.order)](data);
  } catch (error) {
    const { message, todo, again } = problemOf(error);
    tell({ tells: "failed", message, todo, again });
  }
};
