// Journeys through the page of a guest. See browser.cjs and meanwhile.cjs.
"use strict";

const assert = require("node:assert/strict");

const meanwhile = require("./meanwhile.cjs");

module.exports = ({ told, LOOKS, requests, open, looksRight, shoot }) => {
  const { PATIENCE, button, inEveryLook, notice, say, until } = meanwhile({ told, LOOKS, looksRight, shoot });
  const row = (page, text) => page.locator("#outbox-rows tr", { hasText: text });

  async function arrive(page) {
    await page.goto(`${told.url}/send`);
    await page.getByRole("heading", { name: "Send by a link", level: 1 }).waitFor(PATIENCE);
  }

  // The secret halves of its keys cannot be read, and no person is made of a guest.
  const keysOf = (page) =>
    page.evaluate(async () => {
      const names = (await indexedDB.databases()).map(({ name }) => name);
      const database = await new Promise((resolve) => (indexedDB.open("consign-guest").onsuccess = ({ target }) => resolve(target.result)));
      const { own } = await new Promise((resolve) => (database.transaction("person").objectStore("person").get("me").onsuccess = ({ target }) => resolve(target.result)));
      database.close();
      const refused = await crypto.subtle.exportKey("pkcs8", own.secret).then(() => "read", (error) => error.name);
      return { names, refused, key: [...own.key].map((byte) => byte.toString(16).padStart(2, "0")).join("") };
    });

  return {
    // By a link, without an account: also after the page was loaded again.
    async send(browser) {
      let page = await (await open(browser, "light")).newPage();
      await arrive(page);
      await inEveryLook(page, "guest-send");
      await button(page, "Make the link").click();
      await notice(page, "There is nothing to send.");
      // More than guests may is refused before anybody has a link, and what was written stays.
      await page.getByLabel("Subject").fill("The plans");
      await page.getByLabel("Message", { exact: true }).fill("As promised.");
      await page.locator("#send-files").setInputFiles(told.larger);
      await button(page, "Make the link").click();
      await notice(page, "More than may be sent without an account");
      assert.match(await page.locator("#notice").textContent(), /may send 64\.0\sMB in a day, 64\.0\sMB of them are left, and the delivery has 65\.0\sMB/);
      assert.equal(await page.getByLabel("Subject").inputValue(), "The plans");
      await button(page, "Remove larger.mkv").click();
      await page.locator("#send-files").setInputFiles(told.files);
      await page.locator("#chosen").getByText("film.mkv").waitFor();
      await inEveryLook(page, "guest-filled");
      await button(page, "Make the link").click();
      await page.locator("#link").waitFor(PATIENCE);
      const link = await page.locator("#link-text").textContent();
      await row(page, "The plans").getByText("waits for the recipient to collect it").waitFor(PATIENCE);
      await inEveryLook(page, "guest-link");
      const before = await keysOf(page);
      assert.deepEqual(before.names, ["consign-guest"]);
      assert.equal(before.refused, "InvalidAccessError");

      // Another tab of the same browser does not send it a second time.
      const other = await page.context().newPage();
      await other.goto(`${told.url}/send`);
      await notice(other, "open in another tab");
      assert.ok(!(await other.locator("#guest").isVisible()));

      say("receive", link);
      // The test stopped the recipient, which has some of it.
      await until("held");
      await row(page, "The plans").locator(".numbers", { hasText: /^segment \d+ of 25 · / }).waitFor(PATIENCE);
      await page.close();
      page = other;
      await row(page, "The plans").getByText("choose the same files to go on").waitFor(PATIENCE);
      assert.equal((await keysOf(page)).key, before.key, "the same guest");
      const choosing = page.waitForEvent("filechooser", PATIENCE);
      await button(page, "Choose files").click();
      await (await choosing).setFiles(told.files);
      await row(page, "The plans").locator(".numbers", { hasText: "goes on at segment" }).waitFor(PATIENCE);
      say("release");
      await row(page, "The plans").getByText("received").waitFor(PATIENCE);
      await button(page, "Remove from the list").click();

      // A folder, which the sender takes back.
      await page.getByLabel("Subject").fill("A mistake");
      await page.locator("#send-folder").setInputFiles(told.folder);
      await button(page, "Make the link").click();
      await row(page, "A mistake").getByText("waits for the recipient to collect it").waitFor(PATIENCE);
      await row(page, "A mistake").getByRole("button", { name: "End the delivery" }).click();
      await button(page, "Sure? It ends for both").click();
      await row(page, "A mistake").getByText("ended by you").waitFor(PATIENCE);
      assert.ok(!requests.some((url) => url.includes(link.split("#")[1])), "the key stood in a request");
      return {};
    },

    // A hub without guests says so.
    async closed(browser) {
      const page = await (await open(browser, "light")).newPage();
      await page.goto(`${told.url}/send`);
      await page.getByRole("heading", { name: "Nobody sends here without an account" }).waitFor(PATIENCE);
      await inEveryLook(page, "guest-closed");
      await page.getByRole("link", { name: "Sign in" }).click();
      await page.getByRole("heading", { name: "Sign in" }).waitFor(PATIENCE);
      return {};
    },

    // Who received something by a link sends something back.
    async back(browser) {
      const page = await (await open(browser, "light")).newPage();
      await page.goto(told.received);
      await page.getByRole("link", { name: "Send it from here" }).click();
      await page.getByRole("heading", { name: "Send by a link", level: 1 }).waitFor(PATIENCE);
      await page.locator("#send-files").setInputFiles(told.files);
      await button(page, "Make the link").click();
      await page.locator("#link").waitFor(PATIENCE);
      say("receive", await page.locator("#link-text").textContent());
      await page.locator("#outbox-rows").getByText("received").waitFor(PATIENCE);
      return {};
    },
  };
};
