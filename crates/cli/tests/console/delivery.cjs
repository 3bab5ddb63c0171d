// Journeys through the page on which a browser receives a delivery. See browser.cjs.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");

const { mostOfPages } = require("./memory.cjs");
const meanwhile = require("./meanwhile.cjs");

const PATIENCE = { timeout: 120_000 };

module.exports = ({ told, LOOKS, requests, open, openKept, looksRight, shoot }) => {
  const state = (page, text) => page.locator("#state", { hasText: text }).waitFor(PATIENCE);
  const { button, inEveryLook } = meanwhile({ told, LOOKS, looksRight, shoot });

  // Saves what a press brings, under the name that the browser would give it.
  async function saved(page, press) {
    const waiting = page.waitForEvent("download", PATIENCE);
    await press();
    const download = await waiting;
    const name = download.suggestedFilename();
    await download.saveAs(path.join(told.downloads, name));
    return name;
  }

  // How many bytes are verified, as the page counts them.
  const verified = (page) => page.locator("#bar").evaluate((bar) => bar.value);

  async function untilVerified(page, bytes) {
    await page.waitForFunction((least) => document.getElementById("bar").value >= least, bytes, {
      ...PATIENCE,
      polling: 20,
    });
    const now = await verified(page);
    assert.ok(now < told.total, `it was over at ${now} of ${told.total}`);
    return now;
  }

  // Where streams were asked for to begin.
  const begun = () =>
    requests.filter((url) => url.includes("/segments?from=")).map((url) => Number(url.split("from=")[1]));

  function keyStoodNowhere() {
    const key = told.delivery.split("#")[1];
    assert.ok(key.length > 40);
    assert.ok(!requests.some((url) => url.includes(key)), "the key stood in a request");
  }

  // Processes of the browser whose profile this is, and of its pages.
  function processes(profile) {
    const found = [];
    for (const pid of fs.readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name))) {
      try {
        const words = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
        if (words.some((word) => word.includes(profile))) found.push({ pid: Number(pid), words });
      } catch {
        // It has ended.
      }
    }
    return found;
  }

  return {
    // What is in it, all ways to save it, and what is left when it is removed.
    async receive(browser) {
      const context = await open(browser, "light", { acceptDownloads: true });
      // The dialog is the system's own; what it gives is a directory like this one.
      await context.addInitScript(() => {
        window.showDirectoryPicker = async () => {
          const root = await navigator.storage.getDirectory();
          return root.getDirectoryHandle("chosen", { create: true });
        };
      });
      const page = await context.newPage();
      await page.goto(told.delivery);
      await state(page, "Nothing is saved before you say so");
      await page.getByRole("heading", { name: told.subject, level: 1 }).waitFor();
      for (const name of told.shown) await page.getByRole("cell", { name, exact: true }).waitFor();
      assert.equal(await page.locator("#message").textContent(), told.message);
      await inEveryLook(page, "delivery-offered");
      // By the keyboard alone.
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate(() => document.activeElement.id), "receive");
      await page.keyboard.press("Enter");
      await state(page, "The sender has the receipt");
      await inEveryLook(page, "delivery-here");
      const single = await saved(page, () => page.getByRole("button", { name: `Save ${told.single}` }).click());
      const hostile = await saved(page, () => page.getByRole("button", { name: `Save ${told.hostile}` }).click());
      const archive = await saved(page, () => button(page, "Save all as ZIP").click());
      await button(page, "Save into a folder…").click();
      await state(page, "Everything is saved, in the folder “delivery”");
      const folder = await page.evaluate(async () => {
        const root = await navigator.storage.getDirectory();
        const found = {};
        const walk = async (directory, before) => {
          for await (const [name, handle] of directory.entries()) {
            const at = `${before}/${name}`;
            if (handle.kind === "directory") await walk(handle, at);
            else found[at] = (await handle.getFile()).size;
          }
        };
        await walk(await root.getDirectoryHandle("chosen"), "");
        return found;
      });
      const made = await page.evaluate(() => ({
        scripts: [...document.scripts].filter((it) => !it.src).length,
        pictures: [...document.images].filter((it) => !it.src.includes("/console/assets/")).length,
        ran: window.ran === true,
      }));
      assert.deepEqual(made, { scripts: 0, pictures: 0, ran: false });
      keyStoodNowhere();
      // Loaded again it is still here, though the sender has gone.
      await page.reload();
      await state(page, "The sender has the receipt");
      await button(page, "Remove from this browser").click();
      await button(page, "Sure? What is not saved is gone").click();
      await state(page, "Nothing of the delivery is left");
      const left = await page.evaluate(async () => {
        const root = await navigator.storage.getDirectory();
        const names = [];
        for await (const name of (await root.getDirectoryHandle("deliveries")).keys()) names.push(name);
        return names;
      });
      assert.deepEqual(left, []);
      return { single, hostile, archive, folder };
    },

    // The page is loaded again, then the browser is killed, and each time it goes on where it was.
    async resume() {
      const profile = path.join(told.downloads, "profile");
      let context = await openKept(profile, "light");
      let page = context.pages()[0];
      await page.goto(told.delivery);
      await button(page, "Receive").click();
      const first = await untilVerified(page, 6 << 20);
      await page.reload();
      const second = await untilVerified(page, first + (6 << 20));
      const numbers = await page.locator("#numbers").textContent();
      assert.match(numbers, /^segment \d+ of \d+ · .+ · went on at segment \d+, 1\srestart$/);
      await shoot(page, "delivery-receiving", "light");
      for (const { pid } of processes(profile)) {
        try {
          process.kill(pid, "SIGKILL");
        } catch {
          // It ended with its parent.
        }
      }
      await context.close().catch(() => {});
      context = await openKept(profile, "light", { acceptDownloads: true });
      page = context.pages()[0];
      await page.goto(told.delivery);
      await state(page, "The sender has the receipt");
      const starts = begun();
      const name = await saved(page, () => page.locator("#save").click());
      await context.close();
      return { first, second, starts, name };
    },

    // More than a page could hold in memory.
    async large() {
      const profile = path.join(told.downloads, "profile");
      const context = await openKept(profile, "light", { acceptDownloads: true });
      const page = context.pages()[0];
      await page.goto(told.delivery);
      await button(page, "Receive").click();
      await page.locator("#state", { hasText: "The sender has the receipt" }).waitFor({ timeout: told.patience });
      const name = await saved(page, () => page.locator("#save").click());
      const [main] = processes(profile).filter(({ words }) => !words.some((word) => word.startsWith("--type=")));
      const most = mostOfPages(main.pid);
      await context.close();
      return { name, most };
    },

    // What is waited for is named, and it goes on by itself.
    async waiting(browser) {
      const page = await (await open(browser, "light")).newPage();
      await page.goto(told.delivery);
      await state(page, "Nothing is saved before you say so");
      const other = await page.context().newPage();
      await other.goto(told.delivery);
      await state(other, "Another tab of this browser has this delivery");
      await inEveryLook(other, "delivery-stopped");
      await other.close();
      // Told to the test, which kills the sender then and says so.
      process.stderr.write("offered\n");
      while (!fs.existsSync(told.killed)) await page.waitForTimeout(50);
      await button(page, "Receive").click();
      await state(page, "Waiting for the sender, away for");
      await page.locator("#bar").waitFor();
      await page.setViewportSize(LOOKS.phone.viewport);
      await looksRight(page, "delivery-waiting");
      await shoot(page, "delivery-waiting", "phone");
      // Told to the test, which kills the hub, starts it again, and then the sender.
      process.stderr.write("waits\n");
      await state(page, "Waiting for the hub, which does not answer");
      process.stderr.write("hubless\n");
      await state(page, "The hub does not have the delivery now");
      process.stderr.write("back\n");
      await state(page, "The sender has the receipt");
      return {};
    },

    // Links that lost or changed a letter, and one that nobody sends.
    async links(browser) {
      const page = await (await open(browser, "light")).newPage();
      const says = async (link, text) => {
        await page.goto("about:blank");
        await page.goto(link);
        await state(page, text);
      };
      await says(told.delivery.split("#")[0], "The link lacks its key");
      await says(told.delivery.slice(0, -1), "cut short or altered");
      await says(told.delivery.replace(/.$/, (letter) => (letter === "7" ? "8" : "7")), "altered");
      await says(told.delivery.replace("#1.", "#3."), "of a kind that this hub does not know");
      await inEveryLook(page, "delivery-link");
      await says(told.unsent, "The hub does not have the delivery now");
      return {};
    },

    // A wrong passphrase opens nothing and harms nothing; the right one does.
    async locked(browser) {
      const page = await (await open(browser, "light")).newPage();
      await page.goto(told.delivery);
      await state(page, "The sender locked this delivery");
      await inEveryLook(page, "delivery-locked");
      const type = async (passphrase) => {
        await page.getByLabel("Passphrase").fill(passphrase);
        await page.keyboard.press("Enter");
      };
      await type("wrong horse");
      await state(page, "Or the passphrase is not the right one");
      await button(page, "Another passphrase").click();
      await state(page, "The sender locked this delivery");
      await type(told.passphrase);
      await button(page, "Receive").click();
      await state(page, "The sender has the receipt");
      // What is here is not harmed by a wrong one either.
      await page.reload();
      await type("wrong horse");
      await state(page, "another key opened");
      assert.ok(!requests.some((url) => url.includes("horse")), "a passphrase stood in a request");
      return {};
    },

    // Out of a locker while nobody sends, once: the first browser gets it, another one is told that it is over.
    async locker(browser) {
      const first = await (await open(browser, "light")).newPage();
      await first.goto(told.delivery);
      await state(first, "Nothing is saved before you say so");
      await button(first, "Receive").click();
      await state(first, "The receipt waits at the hub, where the sender finds it");
      const second = await (await open(browser, "light")).newPage();
      await second.goto(told.delivery);
      await state(second, "it was downloaded as often as its sender allowed");
      await looksRight(second, "delivery-over");
      return {};
    },

    // Who does not want it ends it for both.
    async refuse(browser) {
      const page = await (await open(browser, "phone")).newPage();
      await page.goto(told.delivery);
      await state(page, "Nothing is saved before you say so");
      await button(page, "I do not want it").click();
      await button(page, "Sure? It ends for both sides").click();
      await state(page, "You refused the delivery");
      return {};
    },
  };
};
