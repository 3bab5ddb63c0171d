// Journeys through a person's page without a mouse. See person.cjs.
"use strict";

const assert = require("node:assert/strict");

/** Roles of what can be worked; each of them needs a name. */
const WORKED = ["button", "link", "textbox", "radio", "checkbox", "combobox", "spinbutton", "searchbox", "progressbar", "DisclosureTriangle"];

module.exports = ({ told, say, until, open, button, state, notice, room, PATIENCE }) => {
  // Where the focus is; it is somewhere, can be seen there, and shows itself.
  async function seen(page, name) {
    const at = await page.evaluate(() => {
      const it = document.activeElement;
      const style = getComputedStyle(it);
      const { top, bottom, left, right } = it.getBoundingClientRect();
      return {
        tag: it.tagName,
        label: (it.ariaLabel || it.labels?.[0]?.textContent || it.textContent || "").trim(),
        isOutlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0,
        isIn: bottom > 0 && right > 0 && top < innerHeight && left < innerWidth && bottom > top && right > left,
      };
    });
    assert.notEqual(at.tag, "BODY", `the focus is lost before ${name}`);
    assert.ok(at.isOutlined && at.isIn, `the focus cannot be seen on ${at.tag} “${at.label}”`);
    assert.notEqual(at.label, "", `nothing is said of a focused ${at.tag}`);
    return at.label;
  }

  // Until the focus has come to rest there; every place where it was on the way is looked at.
  async function rests(page, name) {
    let label = "";
    for (let left = 400; left > 0; left--) {
      label = await seen(page, name);
      if (label === name) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.fail(`the focus is on “${label}”, not on ${name}`);
  }

  // Presses a key until the control has the focus. After the last one comes the browser's own frame.
  async function reach(page, name, key = "Tab") {
    for (let presses = 0; presses < 60; presses++) {
      await page.keyboard.press(key);
      if (await page.evaluate(() => document.activeElement === document.body)) continue;
      if ((await seen(page, name)).startsWith(name)) return;
    }
    assert.fail(`the keyboard does not reach ${name}`);
  }

  async function press(page, name, key = "Enter", way = "Tab") {
    await reach(page, name, way);
    await page.keyboard.press(key);
  }

  async function write(page, name, text) {
    await reach(page, name);
    await page.keyboard.press("Control+A");
    await page.keyboard.type(text);
  }

  // What is read out, when there is time for it or, what failed, at once. It goes on being there for a while.
  const heard = (page, text) => page.locator("#said p", { hasText: text }).first().waitFor({ state: "attached", ...PATIENCE });
  const alarmed = (page, text) => page.locator("#alarm p", { hasText: text }).first().waitFor({ state: "attached", ...PATIENCE });

  // What a screen reader is told of everything that can be worked.
  async function isNamed(page, what) {
    const session = await page.context().newCDPSession(page);
    const { nodes } = await session.send("Accessibility.getFullAXTree");
    await session.detach();
    const worked = nodes.filter(({ ignored, role }) => !ignored && WORKED.includes(role?.value));
    assert.ok(worked.length > 0, `${what} has nothing to work`);
    const nameless = worked.filter(({ name }) => !name?.value?.trim()).map(({ role }) => role.value);
    assert.deepEqual(nameless, [], `${what} has controls without a name`);
  }

  return {
    // All of the page by keys alone: in, strangers, what came, contacts, what is sent.
    async keys(browser) {
      const context = await open(browser, "light", { acceptDownloads: true, permissions: ["clipboard-read", "clipboard-write"] });
      const page = await context.newPage();
      await page.goto(`${told.url}/me`);
      await page.locator("#sign-in").waitFor(PATIENCE);
      await rests(page, "Handle");
      await isNamed(page, "the door");
      await page.keyboard.type(told.handle);
      await write(page, "Password", told.password);
      await write(page, "Name of this browser", "Browser");
      await press(page, "Sign in");
      await page.getByRole("heading", { name: "Approve this browser" }).waitFor(PATIENCE);
      await rests(page, "Approve this browser");
      // What is in the first answer is no news.
      const empty = page.waitForResponse((answer) => answer.url().includes("/v1/me/senders") && answer.ok(), PATIENCE);
      say("approve", await page.locator("#request").textContent());
      await page.getByRole("heading", { name: "Inbox", level: 1 }).waitFor(PATIENCE);
      await empty;
      await rests(page, "Inbox");

      say("send");
      await button(page, "Let anna in").waitFor(PATIENCE);
      await button(page, "Let dora in").waitFor(PATIENCE);
      for (const who of ["anna", "dora"]) await heard(page, `${who} waits to be let in.`);
      await isNamed(page, "the inbox");
      await press(page, "Let anna in");
      await notice(page, "anna is a contact now");
      await heard(page, "anna is a contact now");
      await heard(page, "A delivery of anna came: 1\u00a0file, ");
      // Whose row is gone leaves the focus to the next one.
      await rests(page, "Let dora in");
      await press(page, "Refuse dora", "Space");
      await notice(page, "dora is not let in");
      await rests(page, "Inbox");

      const row = page.locator("#inbox-rows tr", { hasText: "anna" });
      await row.getByText("can be received").waitFor(PATIENCE);
      await press(page, "Open the delivery of anna");
      await rests(page, told.subject);
      await state(page, "Nothing is saved before you say so");
      await press(page, "Receive");
      await state(page, "The sender has the receipt");
      await heard(page, "Everything is here and verified.");
      await heard(page, "The delivery of anna: received ");
      await rests(page, told.subject);
      await isNamed(page, "a delivery");
      await press(page, "Back to the inbox", "Enter", "Shift+Tab");
      await rests(page, "Open the delivery of anna");

      say("again");
      await row.getByText("can be received").waitFor(PATIENCE);
      // Whatever is drawn anew meanwhile, the focus is on the same control.
      await rests(page, "Open the delivery of anna");
      await press(page, "Refuse the delivery of anna", "Enter", "Shift+Tab");
      await rests(page, "Sure? It ends for both");
      await page.keyboard.press("Enter");
      await row.getByText("ended by you").waitFor(PATIENCE);
      await heard(page, "The delivery of anna: ended by you");
      await seen(page, "what is left of the inbox");

      await press(page, "Contacts", "Enter", "Shift+Tab");
      await rests(page, "Contacts");
      await write(page, "Handle", "nobody-here");
      await page.keyboard.press("Enter");
      await alarmed(page, "Nobody at this hub is called nobody-here. Look how it is spelled");
      await rests(page, "Handle");
      await page.keyboard.press("Control+A");
      await page.keyboard.type("carla");
      await write(page, "Notes", "plays the oboe");
      await press(page, "Add");
      await notice(page, "carla is a contact now");
      await rests(page, "Add");
      await isNamed(page, "the contacts");
      await press(page, "Compare words with carla", "Enter", "Shift+Tab");
      await rests(page, "Compare");
      await press(page, "Close");
      await rests(page, "Compare words with carla");
      await press(page, "Remove carla", "Space");
      await rests(page, "Sure? Remove");
      await page.keyboard.press("Space");
      await page.locator('tr[data-contact="carla"]').waitFor({ state: "detached", ...PATIENCE });
      await rests(page, "Remove anna");

      await press(page, "Send", "Enter", "Shift+Tab");
      await rests(page, "Send");
      await reach(page, "Somebody at this hub");
      await page.keyboard.press("ArrowDown");
      await write(page, "Subject", "The plans");
      await page.locator("#send-files").setInputFiles(told.files);
      await page.locator("#chosen li").first().waitFor(PATIENCE);
      await isNamed(page, "the form");
      await reach(page, "Remove note.txt");
      await press(page, "Send");
      await rests(page, "The link");
      await press(page, "Copy the link");
      await rests(page, "Copy the link");
      await heard(page, "The link is copied.");
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await page.locator("#link-text").textContent());
      await press(page, "Close");
      await page.locator("#link").waitFor({ state: "hidden" });
      await seen(page, "the outbox");
      await isNamed(page, "the outbox");
      await press(page, "Pause");
      await rests(page, "Go on");
      await page.keyboard.press("Enter");
      await rests(page, "Pause");
      await press(page, "End the delivery");
      await rests(page, "Sure? It ends for both");
      await page.keyboard.press("Enter");
      await page.locator("#outbox-rows").getByText("ended by you").waitFor(PATIENCE);
      await heard(page, "The delivery to whoever has the link: ended by you.");
      await rests(page, "Remove from the list");
      await page.keyboard.press("Enter");
      await page.locator("#outbox-rows-none").waitFor(PATIENCE);
      await rests(page, "Deliveries");
      return {};
    },
  };
};
