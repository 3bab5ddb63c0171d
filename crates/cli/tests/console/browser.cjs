// Drives a browser through the console. Told what to do by one JSON object on standard input:
//   { journey, url, link, browser, playwright, screenshots, ... }
// Journeys through other pages are in files of their own, which `journeys` names.
// Says what it found as one JSON object on standard output; anything unexpected is an error.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");

const told = JSON.parse(fs.readFileSync(0, "utf8"));
const { chromium } = require(told.playwright);

const LOOKS = {
  light: { viewport: { width: 1280, height: 860 }, colorScheme: "light" },
  dark: { viewport: { width: 1280, height: 860 }, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: "light", hasTouch: true },
};

// What no page may ever do. Filled in by every page that is opened.
const faults = [];
const requests = [];

// Tests may run as root and in places without a sandbox; the pages are our own.
const START = {
  executablePath: told.browser,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
};

async function open(browser, look, more = {}) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...LOOKS[look], ...more });
  await guard(context, more);
  return context;
}

// A browser of its own whose disk outlives it.
async function openKept(directory, look, more = {}) {
  const options = { ...START, ignoreHTTPSErrors: true, ...LOOKS[look], ...more };
  const context = await chromium.launchPersistentContext(directory, options);
  await guard(context, more);
  context.pages().forEach(watch);
  return context;
}

async function guard(context, more) {
  if (more.javaScriptEnabled !== false) {
    await context.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) => {
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
      });
    });
  }
  context.on("request", (request) => {
    requests.push(request.url());
    const isOurs = request.url().startsWith(told.url) || request.url().startsWith(`blob:${told.url}`);
    if (!isOurs) faults.push(`asked elsewhere: ${request.url()}`);
  });
  context.on("page", watch);
}

function watch(page) {
  page.on("console", (message) => {
    // A page that says 403 or 404 on purpose is logged by the browser too.
    const isAnswer = message.text().startsWith("Failed to load resource");
    // htmx says so of the stream of transfers when its page is left.
    const isLeft = message.text() === "[object Event]";
    if (message.type() === "error" && !isAnswer && !isLeft) faults.push(`${page.url()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`${page.url()}: ${error}`));
  page.on("dialog", async (dialog) => {
    faults.push(`${page.url()}: a dialog: ${dialog.message()}`);
    await dialog.dismiss();
  });
}

async function signIn(page, link = told.link) {
  await page.goto(link);
  await page.waitForURL(told.url + (told.home ?? "/console"));
  await page.getByRole("heading", { name: told.heading ?? "Overview", level: 1 }).waitFor();
}

// Nothing sticks out of the window, and nothing that can be read is too small to be.
async function looksRight(page, what) {
  const wide = await page.evaluate(() => ({
    window: document.documentElement.clientWidth,
    page: document.documentElement.scrollWidth,
  }));
  assert.ok(wide.page <= wide.window, `${what} is ${wide.page} wide in ${wide.window}`);
  const unlabelled = await page.evaluate(() =>
    [...document.querySelectorAll("input:not([type=hidden]), select, button, a[href]")]
      .filter((it) => it.checkVisibility())
      .filter((it) => !(it.labels?.length || it.ariaLabel || it.textContent.trim()))
      .map((it) => it.outerHTML),
  );
  assert.deepEqual(unlabelled, [], `${what} has controls without a name`);
}

async function shoot(page, name, look) {
  await page.evaluate(() => document.fonts.ready);
  const file = path.join(told.screenshots, `${name}-${look}.png`);
  await page.screenshot({ path: file, fullPage: true });
}

const journeys = {
  // Every page in every look.
  async screens(browser) {
    const context = await open(browser, "light");
    const page = await context.newPage();
    await page.goto(`${told.url}/console/sign-in`);
    for (const look of Object.keys(LOOKS)) {
      await page.setViewportSize(LOOKS[look].viewport);
      await page.emulateMedia({ colorScheme: LOOKS[look].colorScheme });
      await looksRight(page, "sign-in");
      await shoot(page, "sign-in", look);
    }
    await signIn(page);
    for (const [name, address] of told.pages) {
      const answer = await page.goto(told.url + address);
      assert.ok(answer.ok() || name === "not-found", `${address}: ${answer.status()}`);
      for (const look of Object.keys(LOOKS)) {
        await page.setViewportSize(LOOKS[look].viewport);
        await page.emulateMedia({ colorScheme: LOOKS[look].colorScheme });
        await looksRight(page, `${name} (${look})`);
        await shoot(page, name, look);
      }
    }
    if (told.empty) return {};
    // The page that shows an invitation comes from a form.
    await page.goto(`${told.url}/console/invitations`);
    await page.getByLabel("Reader", { exact: false }).first().check();
    await page.getByRole("button", { name: "Make invitation" }).click();
    const invitation = await page.locator("#invitation").textContent();
    assert.match(invitation, /^consign-invite-/);
    for (const look of Object.keys(LOOKS)) {
      await page.setViewportSize(LOOKS[look].viewport);
      await page.emulateMedia({ colorScheme: LOOKS[look].colorScheme });
      await looksRight(page, `invited (${look})`);
      await shoot(page, "invited", look);
    }
    // What was open is shown with its second step open.
    await page.goto(`${told.url}/console/accounts`);
    await page.getByText("Revoke", { exact: true }).first().click();
    await shoot(page, "accounts-sure", "phone");
    return { invitation: invitation.trim() };
  },

  // Without touching the mouse: in, to a name, a grant, out.
  async keyboard(browser) {
    const page = await (await open(browser, "light")).newPage();
    await signIn(page);
    // Presses Tab until the named control has the focus; every stop must be seen.
    const tabTo = async (name) => {
      for (let presses = 0; presses < 120; presses++) {
        await page.keyboard.press("Tab");
        const at = await page.evaluate(() => {
          const it = document.activeElement;
          const style = getComputedStyle(it);
          const label = it.ariaLabel || it.labels?.[0]?.textContent || it.textContent || "";
          return { label: label.trim(), seen: style.outlineStyle !== "none", tag: it.tagName };
        });
        if (at.tag === "BODY") continue;
        assert.ok(at.seen, `no focus can be seen on ${at.label}`);
        if (at.label.startsWith(name)) return;
      }
      assert.fail(`the keyboard does not reach ${name}`);
    };
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
    await page.keyboard.press("Enter");
    await tabTo(told.name);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: told.name, level: 1 }).waitFor();
    await tabTo("Key of a machine");
    await page.keyboard.type(told.key);
    await tabTo("Let it read");
    await page.keyboard.press("Enter");
    await page.getByText("The grant is in force.").waitFor();
    await page.locator("#grants").getByText(told.key).waitFor();
    await page.locator("#grants tr", { hasText: told.key }).locator(".badge", { hasText: "read" }).waitFor();
    // Taken back, in two steps.
    await tabTo(`Remove the grant of ${told.key.slice(0, 16)}`);
    await page.keyboard.press("Enter");
    await tabTo("Remove this grant");
    await page.keyboard.press("Enter");
    await page.getByText("The grant was taken back.").waitFor();
    assert.equal(await page.locator("#grants").getByText(told.key).count(), 0);
    await tabTo("Sign out");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Sign in to the console" }).waitFor();
    await page.goBack();
    await page.reload();
    await page.getByRole("heading", { name: "Sign in to the console" }).waitFor();
    return {};
  },

  // Without any script: paste the link, look around, change something.
  async noscript(browser) {
    const page = await (await open(browser, "phone", { javaScriptEnabled: false })).newPage();
    await page.goto(told.link);
    await page.getByLabel("Link, or the part after its #").fill(told.link);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await page.getByRole("link", { name: "Look again" }).click();
    await page.getByRole("link", { name: told.name, exact: true }).click();
    await page.getByRole("link", { name: /^Changes of release/ }).first().click();
    await page.getByRole("heading", { name: /^From release/ }).waitFor();
    await page.goBack();
    await page.getByLabel("Keep the last").fill("3");
    await page.getByRole("button", { name: "Save rules" }).click();
    await page.getByText("The retention rules are saved.").waitFor();
    assert.equal(await page.getByLabel("Keep the last").inputValue(), "3");
    return {};
  },

  // Names, paths and labels that try to be more than text; and what a file is handed out as.
  async hostile(browser) {
    const context = await open(browser, "light", { acceptDownloads: true });
    const page = await context.newPage();
    await signIn(page);
    for (const [, address] of told.pages) {
      await page.goto(told.url + address);
      const made = await page.evaluate(() => ({
        scripts: [...document.scripts].filter((it) => !it.src).length,
        handlers: [...document.querySelectorAll("*")].flatMap((it) =>
          [...it.attributes].filter((a) => /^on|^style$/.test(a.name)).map((a) => it.outerHTML),
        ),
        pictures: [...document.images].filter((it) => !it.src.includes("/console/assets/")).length,
        ran: window.ran === true,
      }));
      assert.deepEqual(made, { scripts: 0, handlers: [], pictures: 0, ran: false }, address);
    }
    await page.goto(told.url + told.tree);
    for (const name of told.shown) await page.getByText(name, { exact: true }).waitFor();
    const waiting = page.waitForEvent("download");
    await page.getByRole("link", { name: told.page, exact: true }).click();
    const download = await waiting;
    const bytes = fs.readFileSync(await download.path(), "utf8");
    assert.equal(page.url(), told.url + told.tree, "a page in a release is not opened");
    return { name: download.suggestedFilename(), bytes };
  },

  // A transfer shows while it runs, without reloading.
  async live(browser) {
    const page = await (await open(browser, "light")).newPage();
    await signIn(page);
    await page.getByText("Nothing is moving").waitFor({ timeout: 60000 });
    // Told to the test, which starts a transfer then.
    process.stderr.write("watching\n");
    const row = page.locator(".list-place tbody tr").first();
    await row.waitFor({ timeout: 60000 });
    const text = await row.innerText();
    const { viewport } = LOOKS.light;
    await page.setViewportSize(viewport);
    await shoot(page, "transfers", "light");
    await page.getByText("Nothing is moving").waitFor({ timeout: 60000 });
    return { row: text.replace(/\s+/g, " ") };
  },

  // The console of a community: every page in every look, nothing that a target said runs, and what
  // changes shows without reloading.
  async community(browser) {
    const page = await (await open(browser, "light")).newPage();
    await signIn(page);
    const secret = told.link.split("#")[1];
    assert.ok(!requests.some((url) => url.includes(secret)), "the secret stood in a URL");
    for (const [name, address] of told.pages) {
      const answer = await page.goto(told.url + address);
      assert.ok(answer.ok(), `${address}: ${answer.status()}`);
      for (const look of Object.keys(LOOKS)) {
        await page.setViewportSize(LOOKS[look].viewport);
        await page.emulateMedia({ colorScheme: LOOKS[look].colorScheme });
        await looksRight(page, `${name} (${look})`);
        await shoot(page, name, look);
      }
      const made = await page.evaluate(() => ({
        scripts: [...document.scripts].filter((it) => !it.src).length,
        handlers: [...document.querySelectorAll("*")].flatMap((it) =>
          // Taking a picture leaves empty styles behind.
          [...it.attributes].filter((a) => /^on|^style$/.test(a.name) && a.value).map(() => it.outerHTML),
        ),
        ran: window.ran === true,
      }));
      assert.deepEqual(made, { scripts: 0, handlers: [], ran: false }, address);
    }
    await page.goto(told.url + "/");
    // The picture names it in a title, too, which is never visible.
    await page.locator("svg text").filter({ hasText: told.relay }).first().waitFor();
    await page.goto(told.url + told.receipt);
    await page.getByText(told.hostile).first().waitFor();
    await page.setViewportSize(LOOKS.light.viewport);
    await page.emulateMedia({ colorScheme: "light" });
    await page.goto(told.url + told.release);
    await page.getByText(told.before).first().waitFor();
    // Told to the test, which has a target answer then.
    process.stderr.write("watching\n");
    await page.getByText(told.after).first().waitFor({ timeout: 60000 });
    return {};
  },

  // A used link opens nothing; the secret is in no request and not in the history.
  async link(browser) {
    const context = await open(browser, "light");
    const page = await context.newPage();
    await signIn(page);
    const secret = told.link.split("#")[1];
    assert.equal(secret.length, 64);
    assert.ok(!requests.some((url) => url.includes(secret)), "the secret stood in a URL");
    const cookies = await context.cookies(told.url);
    assert.equal(cookies.length, 1);
    const [{ name, httpOnly, secure, sameSite }] = cookies;
    assert.deepEqual(
      { name, httpOnly, secure, sameSite },
      { name: "__Host-consign-console", httpOnly: true, secure: true, sameSite: "Strict" },
    );
    const other = await (await open(browser, "light")).newPage();
    await other.goto(told.link);
    await other.getByRole("heading", { name: "This link does not sign you in" }).waitFor();
    assert.ok(!other.url().includes(secret));
    await shoot(other, "used-link", "light");
    await other.goto(`${told.url}/console`);
    await other.getByRole("heading", { name: "Sign in to the console" }).waitFor();
    return {};
  },
};

async function main() {
  const browser = await chromium.launch(START);
  const support = { told, chromium, START, LOOKS, requests, open, openKept, looksRight, shoot };
  const all = told.journeys ? require(told.journeys)(support) : journeys;
  try {
    const found = await all[told.journey](browser);
    assert.deepEqual(faults, []);
    process.stdout.write(`${JSON.stringify(found)}\n`);
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n${faults.join("\n")}\n`);
  process.exitCode = 1;
});
