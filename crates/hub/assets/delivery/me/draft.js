// What is about to be sent: to whom, with which words, and the files and folders that were chosen or dropped.

import { Problem } from "../problem.js";
import { TermsForm } from "./terms.js";
import { bytes, counted } from "../words.js";
import { button, by, el, input } from "./drawing.js";
import { chosenFiles, droppedFiles, survey } from "../survey.js";
import { draw } from "../focus.js";
import { encodeHeader } from "../header.js";
import { shownText } from "../names.js";
import { takeDrops } from "../drop.js";

const SUBJECT_BYTES_MAX = 200;
const MESSAGE_BYTES_MAX = 64 << 10;
/** More rows help nobody. */
const ROWS_MAX = 12;
const utf8 = new TextEncoder();

/** The form of a new delivery. */
export class Draft {
  /** @type {import("../survey.js").Chosen[]} */
  #chosen = [];
  #terms = new TermsForm();
  #failed;
  #signature;
  #addressee;

  /**
   * @param {(act: () => Promise<unknown>) => Promise<void>} attempt Says what failed.
   * @param {Pick<import("./signature.js").Signature, "ready" | "under" | "renew">} signature
   * @param {import("./addressee.js").Addressee} addressee
   */
  constructor(attempt, signature, addressee) {
    this.#failed = attempt;
    this.#signature = signature;
    this.#addressee = addressee;
    for (const id of ["send-files", "send-folder"]) {
      input(id).addEventListener("change", () => {
        this.#add(chosenFiles(input(id).files ?? []));
        input(id).value = "";
      });
      by(`${id}-button`).addEventListener("click", () => input(id).click());
    }
    takeDrops(by("drop"), (dropped) => void this.#failed(async () => this.#add(await droppedFiles(dropped))));
    addressee.listen((isByLink) => this.#terms.show(isByLink));
    this.#show();
  }

  /** @param {import("../survey.js").Chosen[]} more */
  #add(more) {
    this.#chosen.push(...more);
    this.#show();
  }

  #show() {
    const tops = new Map();
    for (const { path, file } of this.#chosen) {
      const top = path.split("/")[0];
      const { files, size } = tops.get(top) ?? { files: 0, size: 0 };
      tops.set(top, { files: files + (file ? 1 : 0), size: size + (file?.size ?? 0) });
    }
    const remove = (/** @type {string} */ top) => () => {
      this.#chosen = this.#chosen.filter(({ path }) => path.split("/")[0] !== top);
      this.#show();
    };
    const rows = [...tops].slice(0, ROWS_MAX).map(([top, { files, size }]) =>
      el("li", { "data-key": top }, `${shownText(top)}: ${counted(files, "file")}, ${bytes(size)} `, button("Remove", remove(top), { label: `Remove ${shownText(top)}` })),
    );
    if (tops.size > ROWS_MAX) rows.push(el("li", { class: "hush" }, `and ${tops.size - ROWS_MAX} more`));
    draw(by("chosen"), rows);
  }

  /** Waits for what is not known yet of what it becomes. */
  async ready() {
    if (input("send-message").value !== "") await this.#signature.ready();
  }

  /**
   * @param {number} now In seconds since 1970.
   * @returns {{ to: string | null, header: Uint8Array, files: File[], terms: import("./terms.js").Terms,
   *   totals: { bytes: number, files: number, largest: number } }}
   */
  take(now) {
    const to = this.#addressee.take();
    const [subject, message] = [input("send-subject").value.trim(), this.#signature.under(input("send-message").value)];
    if (utf8.encode(subject).length > SUBJECT_BYTES_MAX || /\p{Cc}/u.test(subject)) {
      throw new Problem("The subject is longer than 200 bytes.", "Shorten it; the message has room for more.");
    }
    if (utf8.encode(message).length > MESSAGE_BYTES_MAX) {
      throw new Problem("The message is longer than 64 KiB, with what stands under it.", "Send it as a file.");
    }
    const { items, files } = survey(this.#chosen, now);
    if (items.length === 0 && message.trim() === "" && subject === "") {
      throw new Problem("There is nothing to send.", "Choose files or a folder, or write a message.");
    }
    const header = encodeHeader({ subject, message, sent: now, items });
    const largest = files.reduce((most, { size }) => Math.max(most, size), 0);
    const total = files.reduce((sum, { size }) => sum + size, 0);
    return { to, header, files, terms: this.#terms.take(now), totals: { bytes: total, files: files.length, largest } };
  }

  /** It was sent. */
  clear() {
    /** @type {HTMLFormElement} */ (by("send-form")).reset();
    this.#chosen = [];
    this.#signature.renew();
    this.#show();
  }
}
