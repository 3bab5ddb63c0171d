// The worker of one delivery that is sent, which a browser does not slow down while its page is out of sight.
//
//   to it:   { own, hub, delivery: { id, name, secret, locker, until }, header, files }
//   from it: { tells: "progress", verifiedBytes, streamBytes }, "waits", "sent", "kept", "failed"

import { Account } from "./account.js";
import { Outgoing } from "../outgoing.js";
import { Sender } from "../sender.js";
import { explained } from "./states.js";

/** So often a person sees progress move. */
const TELL_EVERY_MS = 250;

let [toldAt, toldBytes, toldPhase] = [0, -1, ""];

const watcher = {
  waits(/** @type {import("../send_plan.js").Phase} */ phase) {
    if (phase !== toldPhase) postMessage({ tells: "waits", phase: (toldPhase = phase) });
  },
  progress(/** @type {number} */ verifiedBytes, /** @type {number} */ streamBytes) {
    const now = performance.now();
    const isNews = verifiedBytes !== toldBytes && (now - toldAt >= TELL_EVERY_MS || verifiedBytes === streamBytes);
    if (!isNews) return;
    [toldAt, toldBytes] = [now, verifiedBytes];
    postMessage({ tells: "progress", verifiedBytes, streamBytes });
  },
};

onmessage = async ({ data: { own, hub, delivery, header, files } }) => {
  try {
    const sender = new Sender(new Account(own, hub), delivery, new Outgoing(header, files), watcher);
    const end = await sender.run();
    postMessage({ tells: "locker" in end ? "kept" : "sent", ...end });
  } catch (error) {
    const { message, todo, again } = explained(error);
    postMessage({ tells: "failed", message, todo, again });
  }
};
