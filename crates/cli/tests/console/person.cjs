// Journeys through a person's page. See browser.cjs and meanwhile.cjs.
"use strict";

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");

const { isReadable } = require("./contrast.cjs");
const { mostOfPages } = require("./memory.cjs");
const meanwhile = require("./meanwhile.cjs");

module.exports = ({ told, chromium, START, LOOKS, requests, open, looksRight, shoot }) => {
  const { PATIENCE, button, inEveryLook, notice, say, until } = meanwhile({ told, LOOKS, looksRight, shoot });
  const state = (page, text) => page.locator("#state", { hasText: text }).waitFor(PATIENCE);
  const door = (page, text) => page.locator("#door-state", { hasText: text }).waitFor(PATIENCE);
  const room = async (page, name) => {
    await page.getByRole("navigation").getByRole("link", { name }).click();
    await page.getByRole("heading", { name, level: 1 }).waitFor(PATIENCE);
  };

  async function signIn(page, password = told.password) {
    await page.goto(`${told.url}/me`);
    const form = page.locator("#sign-in-form");
    await form.getByLabel("Handle").fill(told.handle);
    await form.getByLabel("Password").fill(password);
    await form.getByLabel("Name of this browser").fill("Browser");
    await page.keyboard.press("Enter");
  }

  // A device of the person, approved by the test on another one.
  async function arrive(browser, more = {}) {
    const context = await open(browser, "light", { acceptDownloads: true, ...more });
    return arriveOn(await context.newPage());
  }

  async function arriveOn(page) {
    await signIn(page);
    await page.getByRole("heading", { name: "Approve this browser" }).waitFor(PATIENCE);
    say("approve", await page.locator("#request").textContent());
    await page.getByRole("heading", { name: "Inbox", level: 1 }).waitFor(PATIENCE);
    return page;
  }

  // A browser that goes on while nobody watches; who watches is told everything that pages send, and they keep it for that.
  async function alone(act) {
    const profile = path.join(told.place, "profile");
    const more = ["--headless", "--ignore-certificate-errors", "--remote-debugging-port=0", `--user-data-dir=${profile}`, "about:blank"];
    const child = spawn(told.browser, [...START.args, ...more], { stdio: "ignore" });
    const at = path.join(profile, "DevToolsActivePort");
    const watched = async (look) => {
      const browser = await chromium.connectOverCDP(`http://127.0.0.1:${fs.readFileSync(at, "utf8").split("\n")[0]}`, { isLocal: true });
      try {
        return await look(browser.contexts()[0]);
      } finally {
        await browser.close();
      }
    };
    try {
      for (let left = 600; !fs.existsSync(at) || !fs.readFileSync(at, "utf8").includes("\n"); left--) {
        assert.ok(left > 0 && child.exitCode === null, "the browser does not start");
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      return await act(watched, child.pid);
    } finally {
      const over = new Promise((resolve) => child.once("exit", resolve));
      if (child.exitCode === null && child.kill()) await over;
    }
  }

  async function saved(page, press) {
    const waiting = page.waitForEvent("download", PATIENCE);
    await press();
    const download = await waiting;
    const name = download.suggestedFilename();
    await download.saveAs(path.join(told.place, name));
    return name;
  }

  const helpers = { told, say, until, open, arrive, button, state, notice, door, room, requests, PATIENCE };
  return {
    ...require("./person_keys.cjs")(helpers),
    ...require("./person_drop.cjs")(helpers),

    // In by the password and another device's word, then out for good.
    async door(browser) {
      const page = await (await open(browser, "light")).newPage();
      await page.goto(`${told.url}/me`);
      await page.locator("#handle").waitFor();
      await inEveryLook(page, "person-door");
      // What is too pale is found.
      const paint = (colour) => page.locator("#sign-in-title").evaluate((it, value) => (it.style.color = value), colour);
      await paint("#999");
      await assert.rejects(isReadable(page, "a pale heading"), /h1#sign-in-title/);
      await paint("");
      await signIn(page, "wrong horse");
      await door(page, "The hub refuses");
      await signIn(page);
      await page.getByRole("heading", { name: "Approve this browser" }).waitFor(PATIENCE);
      await door(page, "Waiting for another device");
      await inEveryLook(page, "person-approve");
      // Loaded again it asks with the same keys.
      const line = await page.locator("#request").textContent();
      await page.reload();
      await page.getByRole("heading", { name: "Approve this browser" }).waitFor(PATIENCE);
      assert.equal(await page.locator("#request").textContent(), line);
      const other = await page.context().newPage();
      await other.goto(`${told.url}/me`);
      await door(other, "open in another tab");
      await other.close();
      say("approve", line);
      await page.getByRole("heading", { name: "Inbox", level: 1 }).waitFor(PATIENCE);
      const keys = await page.evaluate(async () => {
        const request = indexedDB.open("consign-person");
        const database = await new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
        const got = database.transaction("person").objectStore("person").get("me");
        const { own } = await new Promise((resolve) => (got.onsuccess = () => resolve(got.result)));
        database.close();
        const tries = [own.secret, own.exchange.secret].map((key) => crypto.subtle.exportKey("pkcs8", key));
        return (await Promise.allSettled(tries)).map(({ status }) => status);
      });
      assert.deepEqual(keys, ["rejected", "rejected"], "a key can be read");
      const elsewhere = await page.evaluate(() => [document.cookie, localStorage.length, sessionStorage.length]);
      assert.deepEqual(elsewhere, ["", 0, 0]);
      assert.ok(!requests.some((url) => /horse/.test(url)), "a password stood in an address");
      // Another device takes it off: the page says so.
      say("remove");
      await door(page, "This browser is no device of");
      await button(page, "Forget this browser").click();
      await button(page, "Sure? What is not saved is gone").click();
      await page.locator("#handle").waitFor(PATIENCE);
      const left = await page.evaluate(async () => {
        const request = indexedDB.open("consign-person");
        const database = await new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
        const counts = [...database.objectStoreNames].map((store) => {
          const counted = database.transaction(store).objectStore(store).count();
          return new Promise((resolve) => (counted.onsuccess = () => resolve(counted.result)));
        });
        return Promise.all(counts);
      });
      assert.ok(left.length > 0 && left.every((count) => count === 0), `something is left: ${left}`);
      return {};
    },

    // Not while the other devices would lose the contacts by it; then out for good, by its own word.
    async leave(browser) {
      const page = await arrive(browser);
      const leave = async () => {
        await button(page, "Sign out and forget this browser").click();
        await button(page, "Sure? What is not saved is gone").click();
      };
      await room(page, "Contacts");
      await page.locator("#contact-handle").fill("anna");
      await button(page, "Add").click();
      await notice(page, "anna is a contact now");
      await leave();
      await notice(page, "another device has to take it off your list");
      await button(page, "Forget it here all the same").waitFor(PATIENCE);
      await inEveryLook(page, "person-leave");
      say("write");
      await until("written");
      await page.reload();
      await page.getByRole("heading", { name: "Contacts", level: 1 }).waitFor(PATIENCE);
      await leave();
      await page.locator("#handle").waitFor(PATIENCE);
      return {};
    },

    // What was sent from a terminal comes, is received and saved, and stays until it is removed.
    async receive(browser) {
      const page = await arrive(browser);
      await inEveryLook(page, "person-inbox-empty");
      say("send");
      const row = page.locator("#inbox-rows tr").first();
      await row.getByText("can be received").waitFor(PATIENCE);
      await inEveryLook(page, "person-inbox");
      await row.getByRole("button", { name: "Open the delivery of anna" }).click();
      await state(page, "Nothing is saved before you say so");
      await page.getByRole("heading", { name: told.subject }).waitFor();
      await page.getByRole("cell", { name: told.file, exact: true }).waitFor();
      await inEveryLook(page, "person-delivery");
      await button(page, "Receive").click();
      await state(page, "The sender has the receipt");
      const name = await saved(page, () => page.getByRole("button", { name: `Save ${told.file}` }).click());
      assert.equal(await page.evaluate(() => window.ran === true), false);
      // What is here is opened again, though the hub has no letter any more.
      await page.reload();
      await row.getByText("received").waitFor(PATIENCE);
      await row.getByRole("button", { name: "Open the delivery of anna" }).click();
      await state(page, "The sender has the receipt");
      await button(page, "Remove from this browser").click();
      await button(page, "Sure? What is not saved is gone").click();
      await state(page, "Nothing of the delivery is left");
      await page.getByRole("link", { name: "Back to the inbox" }).click();
      await row.waitFor();
      await page.waitForFunction(() => document.querySelectorAll("#inbox-rows button").length === 0, null, PATIENCE);
      return { name };
    },

    // Strangers wait, and are let in, refused and blocked; the book that the page writes is the terminal's.
    async contacts(browser) {
      const page = await arrive(browser);
      say("send");
      const row = page.locator("#inbox-rows tr", { hasText: "anna" });
      await button(page, "Let anna in").waitFor(PATIENCE);
      await page.locator("#sender-rows").getByText(told.name).waitFor(PATIENCE);
      await inEveryLook(page, "person-senders");
      await button(page, "Let anna in").click();
      await notice(page, "anna is a contact now");
      await row.getByText("can be received").waitFor(PATIENCE);
      await button(page, "Refuse dora").click();
      await notice(page, "dora is not let in");
      await page.locator("#senders").waitFor({ state: "hidden", ...PATIENCE });
      const refuse = button(page, "Refuse the delivery of anna");
      await refuse.click();
      await button(page, "Sure? It ends for both").click();
      await row.getByText("ended by you").waitFor(PATIENCE);
      await room(page, "Contacts");
      const form = page.locator("#add-contact");
      await form.getByLabel("Handle").fill("carla");
      await form.getByLabel("First name").fill("Carla");
      await form.getByLabel("Notes").fill("plays the oboe");
      await button(page, "Add").click();
      await notice(page, "carla is a contact now");
      await inEveryLook(page, "person-contacts");
      await form.getByLabel("Handle").fill("nobody-here");
      await button(page, "Add").click();
      await notice(page, "Nobody at this hub is called nobody-here");
      await page.getByRole("button", { name: "Compare words with carla" }).click();
      await page.locator("#compared").waitFor(PATIENCE);
      const words = await page.locator("#compared-words").textContent();
      await inEveryLook(page, "person-compare");
      await button(page, "The words agree").click();
      await notice(page, "carla is noted as compared");
      await page.locator('tr[data-contact="carla"]').getByText("compared").waitFor(PATIENCE);
      await page.getByRole("button", { name: "Block anna" }).click();
      await button(page, "Sure? Block").click();
      await page.locator("#blocked-rows").getByText("anna").waitFor(PATIENCE);
      await page.getByLabel("Everybody else").selectOption("block-all");
      await notice(page, "Everybody else is refused now");
      say("look");
      await until("changed");
      // A change of another device is shown.
      await page.locator('tr[data-contact="carla"]').getByText("and the flute").waitFor(PATIENCE);
      // Carla began anew: nobody is taken for her until that is accepted.
      say("reset");
      await until("reset");
      await page.getByRole("button", { name: "Compare words with carla" }).click();
      await page.getByText("carla is not the person whom your address book knows").waitFor(PATIENCE);
      await inEveryLook(page, "person-changed");
      await button(page, "Accept who they are now").click();
      await button(page, "Sure? Accept").click();
      await notice(page, "carla is who they are now");
      await page.locator('tr[data-contact="carla"]').getByText("not compared").waitFor(PATIENCE);
      assert.equal(await page.evaluate(() => window.ran === true), false);
      return { words };
    },

    // By a link to a terminal, then files and a folder to a person, whose receipt is believed.
    async send(browser) {
      const page = await arrive(browser);
      await room(page, "Send");
      await inEveryLook(page, "person-send");
      assert.ok(!(await page.locator("#send-locker").isVisible()), "the hub's operator allows no lockers");
      await page.getByRole("radio", { name: "Whoever has the link" }).check();
      await page.getByLabel("Subject").fill("The plans");
      await page.getByLabel("Message", { exact: true }).fill("As promised.");
      await page.getByLabel("Days").fill("2");
      await page.locator("#send-files").setInputFiles(told.files);
      await page.locator("#chosen").getByText("ground.dwg").waitFor();
      await inEveryLook(page, "person-send-filled");
      await button(page, "Send").click();
      await page.locator("#link").waitFor(PATIENCE);
      const link = await page.locator("#link-text").textContent();
      await page.locator("#outbox-rows").getByText("waits for the recipient to collect it").waitFor(PATIENCE);
      await inEveryLook(page, "person-outbox");
      await page.locator("#link-what", { hasText: "It opens no more after" }).waitFor(PATIENCE);
      assert.ok(!requests.some((url) => url.includes(link.split("#")[1])), "the key stood in a request");
      say("receive", link);
      await page.locator("#outbox-rows").getByText("received").waitFor(PATIENCE);
      await room(page, "Send");
      await page.getByLabel("Handle of the recipient").fill("nobody-here");
      await page.locator("#send-folder").setInputFiles(told.folder);
      await button(page, "Send").click();
      await notice(page, "nobody-here");
      await page.getByLabel("Handle of the recipient").fill("anna");
      await button(page, "Send").click();
      const row = page.locator("#outbox-rows tr", { hasText: "anna" });
      await row.getByText(/waits for/).waitFor(PATIENCE);
      say("accept", await row.getAttribute("data-delivery"));
      await row.getByText("received").waitFor(PATIENCE);
      await inEveryLook(page, "person-outbox-received");
      await row.getByRole("button", { name: "Remove from the list" }).click();
      await room(page, "Send");
      await page.getByLabel("Handle of the recipient").fill("anna");
      await page.getByLabel("Subject").fill("A mistake");
      await button(page, "Send").click();
      const mistake = page.locator("#outbox-rows tr", { hasText: "A mistake" });
      await mistake.getByRole("button", { name: "End the delivery" }).click();
      await button(page, "Sure? It ends for both").click();
      await mistake.getByText("ended by you").waitFor(PATIENCE);
      return {};
    },

    // The text under messages: written here and read by the terminal, and the other way about.
    async signature(browser) {
      const page = await arrive(browser);
      const under = page.locator("#send-signature-text");
      await room(page, "Send");
      assert.ok(!(await page.locator("#send-signature").isVisible()), "there is none yet");
      await room(page, "Contacts");
      const text = page.getByLabel("Text under your messages");
      await text.fill("x".repeat(1025));
      await button(page, "Save the signature").click();
      await notice(page, "a signature has at most 1,024 characters");
      await text.fill(`${told.signature}\n \n`);
      await button(page, "Save the signature").click();
      await notice(page, "This goes under your messages now");
      assert.equal(await text.inputValue(), told.signature);
      await inEveryLook(page, "person-signature");
      await room(page, "Send");
      assert.equal(await under.textContent(), `-- \n${told.signature}`);
      say("change");
      await page.locator("#send-signature-text", { hasText: told.changed }).waitFor(PATIENCE);
      assert.equal(await text.inputValue(), told.changed, "what nobody types at is renewed");
      await inEveryLook(page, "person-send-signed");
      for (const { subject, message, isSigned, isEarly } of told.messages) {
        // The page is opened anew, and does not get the address book before the message was to go.
        let letThrough = () => {};
        const gate = new Promise((resolve) => (letThrough = resolve));
        if (isEarly) {
          await page.route("**/v1/me/book", (route) => gate.then(() => route.continue()));
          await page.reload();
        }
        await room(page, "Send");
        await page.getByRole("radio", { name: "Whoever has the link" }).check();
        await page.getByLabel("Subject").fill(subject);
        await page.getByLabel("Message", { exact: true }).fill(message);
        await page.locator("#send-files").setInputFiles(told.files);
        const choice = page.getByRole("checkbox", { name: "My signature goes under this message" });
        assert.ok(await page.locator("#send-signed").isChecked(), "it was left out of the one before only");
        if (!isEarly) await choice.setChecked(isSigned);
        assert.equal(await under.isVisible(), isSigned && !isEarly);
        await button(page, "Send").click();
        if (isEarly) {
          assert.equal(await button(page, "Send").getAttribute("aria-busy"), "true", "it waits for the address book");
          letThrough();
        }
        const row = page.locator("#outbox-rows tr", { hasText: subject });
        await row.waitFor(PATIENCE);
        say("receive", await page.locator("#link-text").textContent());
        await row.getByText("received").waitFor(PATIENCE);
      }
      return {};
    },

    // Left with the hub: the page is closed before anybody collects, and finds the receipts when it is opened again.
    async locker(browser) {
      let page = await arrive(browser);
      const keep = () => page.getByRole("checkbox", { name: "Let the hub keep it" }).check();
      const row = (to) => page.locator("#outbox-rows tr", { hasText: to });
      await room(page, "Send");
      await page.getByRole("radio", { name: "Whoever has the link" }).check();
      await keep();
      await page.getByLabel("Subject").fill("The plans");
      await page.locator("#send-files").setInputFiles([told.large]);
      await page.getByLabel("Days").fill("3");
      await page.getByLabel("Downloads").fill("1");
      await inEveryLook(page, "person-send-locker");
      // What the hub refuses is not sent, and nothing that was typed is lost.
      await button(page, "Send").click();
      await notice(page, /it takes 25\.3\sMB, and the account has 20\.0\sMB/);
      await inEveryLook(page, "person-locker-refused");
      await page.getByRole("button", { name: `Remove ${path.basename(told.large)}` }).click();
      await page.locator("#send-files").setInputFiles(told.files);
      await button(page, "Send").click();
      await page.locator("#link").waitFor(PATIENCE);
      const link = await page.locator("#link-text").textContent();
      await row("whoever has the link").getByText("downloaded 0 of 1").waitFor(PATIENCE);
      await page.locator("#link-what", { hasText: "this page may be closed" }).waitFor(PATIENCE);
      assert.equal(await page.locator("#outbox-rows tr").count(), 1, "what was refused is not listed");
      await room(page, "Send");
      await page.getByLabel("Handle of the recipient").fill("anna");
      await keep();
      await page.locator("#send-files").setInputFiles(told.files);
      await button(page, "Send").click();
      await notice(page, "The hub has everything and keeps it");
      await row("anna").getByText("this page may be closed").waitFor(PATIENCE);
      await inEveryLook(page, "person-outbox-locker");
      const id = await row("anna").getAttribute("data-delivery");
      const context = page.context();
      await page.close();
      say("collect", id, link);
      await until("collected");
      page = await context.newPage();
      await page.goto(`${told.url}/me#outbox`);
      await row("whoever has the link").getByText("received").waitFor(PATIENCE);
      await row("anna").getByText("received").waitFor(PATIENCE);
      // The hub forgets them once their receipts were taken.
      say("taken");
      await until("forgotten");
      return {};
    },

    // A file larger than a page could hold in memory.
    async large() {
      return alone(async (watched, pid) => {
        const link = await watched(async (context) => {
          const page = await arriveOn(await context.newPage());
          await room(page, "Send");
          await page.getByRole("radio", { name: "Whoever has the link" }).check();
          await page.locator("#send-files").setInputFiles(told.files);
          await button(page, "Send").click();
          await page.locator("#link").waitFor(PATIENCE);
          return page.locator("#link-text").textContent();
        });
        say("receive", link);
        await until("received", told.patience);
        const most = mostOfPages(pid);
        await watched(async (context) => {
          const page = context.pages().find((one) => one.url().endsWith("/me#outbox"));
          await page.locator("#outbox-rows").getByText("received").waitFor(PATIENCE);
        });
        return { most };
      });
    },

    // Paused, gone with its page, and gone on with the same files and no others.
    async resend(browser) {
      let page = await arrive(browser);
      await room(page, "Send");
      await page.getByRole("radio", { name: "Whoever has the link" }).check();
      await page.locator("#send-files").setInputFiles(told.files);
      await button(page, "Send").click();
      await page.locator("#link").waitFor(PATIENCE);
      say("receive", await page.locator("#link-text").textContent());
      // The test stopped the recipient, which has some of it.
      await until("held");
      const bar = page.getByRole("progressbar", { name: "How much of “no subject” whoever has the link has" });
      await bar.waitFor(PATIENCE);
      const { value, max, spoken } = await bar.evaluate((it) => ({ value: it.value, max: it.max, spoken: it.ariaValueText }));
      assert.ok(value > 0 && value < max, `${value} of ${max}`);
      assert.match(spoken, /^\d+ %, \d+\.\d+\sMB of 25\.\d\sMB$/);
      await page.locator("#outbox-rows .numbers", { hasText: /^segment \d+ of 25 · / }).waitFor(PATIENCE);
      await button(page, "Pause").click();
      await page.locator("#outbox-rows").getByText("paused").waitFor(PATIENCE);
      await button(page, "Go on").click();
      await button(page, "Pause").waitFor(PATIENCE);
      const context = page.context();
      await page.close();
      page = await context.newPage();
      await page.goto(`${told.url}/me#outbox`);
      await page.locator("#outbox-rows").getByText("choose the same files to go on").waitFor(PATIENCE);
      const choose = async (files) => {
        const choosing = page.waitForEvent("filechooser", PATIENCE);
        await button(page, "Choose files").click();
        await (await choosing).setFiles(files);
      };
      await choose(told.others);
      await notice(page, "These are not the files that are being sent");
      await choose(told.files);
      await button(page, "Pause").waitFor(PATIENCE);
      await page.locator("#outbox-rows .numbers", { hasText: /^segment (\d+) of 25 · .+ · goes on at segment \1$/ }).waitFor(PATIENCE);
      await page.evaluate(() => {
        window.heard = [];
        const note = (changes) => changes.forEach(({ addedNodes }) => addedNodes.forEach((it) => window.heard.push(it.textContent)));
        for (const id of ["said", "alarm"]) new MutationObserver(note).observe(document.getElementById(id), { childList: true });
      });
      say("release");
      await page.locator("#outbox-rows").getByText("received").waitFor(PATIENCE);
      // Of all its segments nothing is read out, and of its end once.
      const heard = await page.evaluate(() => window.heard);
      assert.equal(heard.length, 1, heard.join("\n"));
      assert.match(heard[0], /^The delivery to whoever has the link: received .+\.$/);
      return {};
    },

    // What another device receives is told of here, too.
    async watch(browser) {
      const page = await arrive(browser);
      say("send");
      const row = page.locator("#inbox-rows tr", { hasText: "anna" });
      await row.getByText("can be received").waitFor(PATIENCE);
      say("accept", await row.getAttribute("data-delivery"));
      // The test stops that device, which has some of it.
      await row.locator(".far", { hasText: /^segment \d+ of 25 · \d+(\.\d+)?\s[kM]?B of 25\.\d\sMB/ }).waitFor(PATIENCE);
      say("more");
      await row.locator(".far", { hasText: /^segment ([2-9]|1\d|2[0-5]) of 25 · / }).waitFor(PATIENCE);
      say("release");
      await row.getByText(/^received /).waitFor(PATIENCE);
      assert.equal(await row.locator(".far").textContent(), "");
      return {};
    },

    // A person of an invitation, whose first device is the browser, which approves and removes another one.
    async register(browser) {
      const page = await (await open(browser, "light")).newPage();
      await page.goto(`${told.url}/me`);
      await page.getByText("Register with an invitation").click();
      await inEveryLook(page, "person-register");
      const fill = (label, text) => page.locator("#register-form").getByLabel(label).fill(text);
      await fill("Invitation", told.invitation);
      await fill("First name", "Erna");
      await fill("Name of this browser", "Browser");
      const type = async (handle, again) => {
        await fill("Handle", handle);
        await page.locator("#new-password").fill(told.password);
        await page.locator("#new-again").fill(again);
        await button(page, "Register").click();
      };
      await type("erna", "another one");
      await door(page, "The two passwords are not the same");
      await type("anna", told.password);
      await door(page, "Choose another handle");
      await type("erna", told.password);
      await page.getByRole("heading", { name: "Inbox", level: 1 }).waitFor(PATIENCE);
      await room(page, "Contacts");
      await page.locator("#contact-handle").fill("anna");
      await page.locator("#contact-notes").fill("plays the oboe");
      await button(page, "Add").click();
      await notice(page, "anna is a contact now");
      await room(page, "Devices");
      say("login");
      await until("line");
      await page.locator("#device-rows").getByText("waits to be approved").waitFor(PATIENCE);
      await page.getByLabel("Line of the new device").fill("consign-device-1:AAAA");
      await button(page, "Approve").click();
      await notice(page, "That does not approve a device");
      await page.getByLabel("Line of the new device").fill(fs.readFileSync(path.join(told.place, "line"), "utf8"));
      await button(page, "Approve").click();
      await notice(page, "“laptop” is one of your devices now");
      await page.getByRole("cell", { name: "laptop", exact: true }).waitFor(PATIENCE);
      await inEveryLook(page, "person-devices");
      say("approved");
      await until("read");
      await page.getByRole("button", { name: "Remove laptop" }).click();
      await button(page, "Sure? Remove").click();
      await page.getByRole("cell", { name: "laptop", exact: true }).waitFor({ state: "detached", ...PATIENCE });
      return {};
    },
  };
};
