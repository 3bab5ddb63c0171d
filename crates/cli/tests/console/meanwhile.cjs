// What journeys through pages share whose tests do something in between: what that is, they are told on standard error,
// one line each: a word, and what belongs to it.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");

const { isReadable } = require("./contrast.cjs");

const PATIENCE = { timeout: 60_000 };

module.exports = ({ told, LOOKS, looksRight, shoot }) => ({
  PATIENCE,

  say(...words) {
    process.stderr.write(`${words.join(" ")}\n`);
  },

  // Until the test has done what it was asked for.
  async until(name, patience = PATIENCE.timeout) {
    for (let left = patience / 50; !fs.existsSync(path.join(told.place, name)); left--) {
      assert.ok(left > 0, `the test did not do what it was asked for: ${name}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  },

  button(page, name) {
    return page.getByRole("button", { name, exact: true });
  },

  notice(page, text) {
    return page.locator("#notice", { hasText: text }).waitFor(PATIENCE);
  },

  async inEveryLook(page, name) {
    for (const look of Object.keys(LOOKS)) {
      await page.setViewportSize(LOOKS[look].viewport);
      await page.emulateMedia({ colorScheme: LOOKS[look].colorScheme });
      await looksRight(page, `${name} (${look})`);
      await isReadable(page, `${name} (${look})`);
      await shoot(page, name, look);
    }
    await page.setViewportSize(LOOKS.light.viewport);
    await page.emulateMedia({ colorScheme: "light" });
  },
});
