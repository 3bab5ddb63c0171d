// Files and folders of a disk, dropped on the pages as a browser drops them. See person.cjs.
"use strict";

const assert = require("node:assert/strict");

module.exports = ({ told, say, arrive, button, room, PATIENCE }) => {
  // Drags files over a place and drops them there; whether the page took care of it, or leaves it to the browser.
  async function drop(page, where, files) {
    await where.scrollIntoViewIfNeeded();
    const { x, y, width, height } = await where.boundingBox();
    await page.evaluate(() => {
      window.cared = [];
      for (const kind of ["dragover", "drop"]) {
        addEventListener(kind, (event) => window.cared.push(`${kind} ${event.defaultPrevented} ${event.dataTransfer.dropEffect}`), { once: true });
      }
    });
    const session = await page.context().newCDPSession(page);
    const data = { items: [], files, dragOperationsMask: 1 };
    for (const type of ["dragEnter", "dragOver", "drop"]) {
      await session.send("Input.dispatchDragEvent", { type, x: x + width / 2, y: y + height / 2, data });
    }
    await session.detach();
    return page.evaluate(() => window.cared);
  }

  return {
    async drop(browser) {
      const page = await arrive(browser);
      await room(page, "Send");
      await page.getByRole("radio", { name: "Whoever has the link" }).check();
      const cared = await drop(page, page.locator("#drop"), [told.file, told.folder]);
      assert.equal(cared[0], "dragover true copy");
      await page.locator("#chosen").getByText(/^ground\.dwg: 1\sfile/).waitFor(PATIENCE);
      await page.locator("#chosen").getByText(/^pictures: 2\sfiles/).waitFor(PATIENCE);
      // Beside the place nothing is taken, and the page stays.
      const beside = await drop(page, page.getByRole("heading", { name: "Send", level: 1 }), [told.other]);
      assert.equal(beside[0], "dragover true none");
      assert.equal(await page.locator("#chosen li").count(), 2);
      await button(page, "Send").click();
      await page.locator("#link").waitFor(PATIENCE);
      const link = await page.locator("#link-text").textContent();
      const other = await page.context().newPage();
      await other.goto(link);
      await other.getByRole("heading", { level: 1 }).waitFor(PATIENCE);
      const onLink = await drop(other, other.getByRole("heading", { level: 1 }), [told.other]);
      assert.equal(onLink[0], "dragover true none");
      assert.ok(other.url().includes("/d/"), other.url());
      await other.close();
      say("receive", link);
      await page.locator("#outbox-rows").getByText("received").waitFor(PATIENCE);
      return {};
    },
  };
};
