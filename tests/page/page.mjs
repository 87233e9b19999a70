// What a person does with the emulator's page, done in Chromium: `node page.mjs <address of the page> <folder for screenshots>`.
// Every step waits for what the page shows; a step that shows it never ends in Playwright's own time-out.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [address, screenshots] = process.argv.slice(2);
const { origin } = new URL(address);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"],
});
const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, bypassCSP: false });
await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin });
const page = await context.newPage();
const broken = [];
page.on("pageerror", (error) => broken.push(error.message));
page.on("console", (message) => message.type() === "error" && broken.push(message.text()));

const row = (name) => page.getByRole("row").filter({ has: page.getByRole("button", { name, exact: true }) });
const shows = (name, state) => row(name).getByText(state, { exact: true }).waitFor();
const open = (action) => page.getByRole("navigation").getByRole("button", { name: action }).click();
const dialog = () => page.getByRole("dialog");
const copied = () => page.evaluate(() => navigator.clipboard.readText());

async function step(what, does) {
  await does();
  console.log(`  ✓ ${what}`);
}

async function isAccessible(where) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const told = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(" ")}`);
  assert.deepEqual(told, [], `violations of axe-core ${where}`);
}

async function make(name, granted) {
  await open("Make CAs");
  await dialog().getByLabel("Name").fill(name);
  await dialog().getByLabel("Grant their use").setChecked(granted);
  await dialog().getByRole("button", { name: "Make and upload" }).click();
  await dialog().waitFor({ state: "hidden" });
}

try {
  await page.goto(address);

  await step("two CAs that are made here become verified with nobody touching them", async () => {
    await make("plant", true);
    await shows("plant-root", "Verified");
    await shows("plant-intermediate", "Verified");
  });

  await step("the conversation shows who called whom, and what came of it", async () => {
    await row("plant-root").getByRole("button").click();
    const calls = page.getByRole("list").getByRole("listitem");
    for (const call of ["Event Grid to Host: deliver the event", "Host to Handler: invoke VerifyOnUpload", "Handler to DPS: look", "Handler to DPS: ask for a code", "Handler to Vault: sign the digest", "Handler to DPS: submit the certificate"]) {
      await calls.filter({ hasText: call }).first().waitFor();
    }
    assert.match(await calls.filter({ hasText: "ask for a code" }).first().innerText(), /200 .*etag .+ → .+code [0-9A-F]{48}/s);
    await page.getByText("verified", { exact: true }).last().waitFor();
    await isAccessible("of a conversation");
  });

  await step("a CA without a grant is denied", async () => {
    await make("foreign", false);
    await shows("foreign-root", "Denied");
    await row("foreign-root").getByRole("button").click();
    await page.getByText("denied: no-grant").waitFor();
  });

  await step("a certificate that is uploaded as verified is told from a proven one", async () => {
    const pem = await page.evaluate(async () => {
      const authorization = `Bearer ${sessionStorage.getItem("token")}`;
      const body = JSON.stringify({ root: "waived root", intermediate: "waived intermediate" });
      const answer = await fetch("/page/authorities", { method: "POST", headers: { "content-type": "application/json", authorization }, body });
      return (await answer.json())[0].certificate;
    });
    await open("Upload certificate");
    await dialog().getByLabel("Name", { exact: true }).fill("waived-ca");
    await dialog().getByLabel("Certificate, PEM").fill(pem);
    await dialog().getByLabel("Set as verified").check();
    await dialog().getByRole("button", { name: "Copy" }).click();
    assert.match(await copied(), /^az iot dps certificate create --dps-name my-dps-x509 .* --name waived-ca .* --verified$/);
    await dialog().getByRole("button", { name: "Upload" }).click();
    await shows("waived-ca", "Verified without proof");
  });

  await step("what is no certificate is refused, and what was typed stays", async () => {
    await open("Upload certificate");
    await dialog().getByLabel("Name", { exact: true }).fill("nonsense");
    await dialog().getByLabel("Certificate, PEM").fill("nonsense");
    await dialog().getByRole("button", { name: "Upload" }).click();
    await dialog().getByRole("alert").filter({ hasText: /\S/ }).waitFor();
    assert.equal(await dialog().getByLabel("Certificate, PEM").inputValue(), "nonsense");
    await isAccessible("of a dialog");
    await dialog().getByRole("button", { name: "Cancel" }).click();
  });

  await step("a fault that is set here strikes, is counted and is seen in the conversation", async () => {
    await open("Faults");
    await dialog().getByLabel(/^Call/).selectOption("dps.verify");
    await dialog().getByLabel("What it meets").selectOption({ label: "answer=503" });
    await dialog().getByRole("button", { name: "Copy" }).click();
    assert.equal(await copied(), "emulator faults add dps.verify answer=503 --first 1");
    await dialog().getByRole("button", { name: "Add" }).click();
    await dialog().getByText("dps.verify: answer=503, the first 1").waitFor();
    await dialog().getByRole("button", { name: "Close" }).click();
    await make("unlucky", true);
    await shows("unlucky-root", "Verified");
    await shows("unlucky-intermediate", "Verified");
    await open("Faults");
    await dialog().getByText("1 hit").waitFor();
    await dialog().getByRole("button", { name: "Remove all" }).click();
    await dialog().getByText("1 hit").waitFor({ state: "hidden" });
    await dialog().getByRole("button", { name: "Close" }).click();
    const struck = page.getByRole("listitem").filter({ hasText: "⚡ fault: answer 503" });
    await row("unlucky-root").getByRole("button").click();
    await page.getByRole("listitem").first().waitFor();
    if ((await struck.count()) === 0) await row("unlucky-intermediate").getByRole("button").click();
    await struck.first().waitFor();
  });

  await step("an upload changes its own rows and nothing else", async () => {
    const before = await row("plant-root").elementHandle();
    await page.evaluate(() => {
      globalThis.added = 0;
      const count = (changes) => changes.forEach(({ addedNodes }) => (globalThis.added += addedNodes.length));
      new MutationObserver(count).observe(document.getElementById("registries"), { childList: true, subtree: true });
    });
    await make("another", true);
    await shows("another-intermediate", "Verified");
    assert.ok(await before.evaluate((element) => element.isConnected), "a row was drawn anew");
    const added = await page.evaluate(() => globalThis.added);
    assert.ok(added < 40, `${added} nodes were added for two rows`);
  });

  await step("the clock goes into expiry, and the CA is no longer of use", async () => {
    await open("Clock");
    await dialog().getByLabel("Advance by").fill("11years");
    await dialog().getByRole("button", { name: "Advance" }).click();
    await page.getByText(/^It is 20/).waitFor();
    await dialog().getByRole("button", { name: "Freeze" }).click();
    await dialog().getByRole("button", { name: "Let it run" }).waitFor();
    await dialog().getByRole("button", { name: "Close" }).click();
    await page.getByText("frozen").waitFor();
    await make("late", true);
    await row("late-root").getByText(/Unverified/).waitFor();
    await row("late-root").getByRole("button").click();
    await page.getByText(/expired/).first().waitFor();
    await open("Clock");
    await dialog().getByRole("button", { name: "Let it run" }).click();
    await dialog().getByRole("button", { name: "Close" }).click();
  });

  await step("a code is made anew, and a certificate deleted, by keyboard alone", async () => {
    await row("late-root").getByRole("button").focus();
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "New code", exact: true }).focus();
    await page.keyboard.press("Enter");
    await page.getByText("A new code was made for late-root").waitFor();
    await page.getByRole("button", { name: "Delete", exact: true }).focus();
    await page.keyboard.press("Enter");
    await row("late-root").waitFor({ state: "hidden" });
  });

  await step("the shell's variables are there to copy", async () => {
    await open("Shell");
    await dialog().getByRole("button", { name: "Copy" }).click();
    assert.match(await copied(), /^export CURL_CA_BUNDLE='.+'$/m);
    await dialog().getByRole("button", { name: "Close" }).click();
  });

  await step("no other web site steers the emulator", async () => {
    const stranger = createServer((_, answer) => answer.setHeader("content-type", "text/html").end("<p>stranger</p>"));
    await new Promise((listening) => stranger.listen(0, "127.0.0.1", listening));
    const other = await context.newPage();
    await other.goto(`http://127.0.0.1:${stranger.address().port}/`);
    const tried = await other.evaluate(async (origin) => {
      const body = JSON.stringify({});
      const simple = { method: "POST", mode: "no-cors", body, headers: { "content-type": "text/plain" } };
      const sent = [fetch(`${origin}/_emulator/reset`, simple), fetch(`${origin}/_emulator/reset`, { method: "POST", body, headers: { "content-type": "application/json" } }), fetch(`${origin}/`)];
      return (await Promise.allSettled(sent)).map((result) => (result.status === "fulfilled" ? result.value.type : "refused"));
    }, origin);
    assert.deepEqual(tried, ["opaque", "refused", "refused"]);
    await other.close();
    stranger.close();
    const without = await page.evaluate(async () => (await fetch("/_emulator/reset", { method: "POST", headers: { "content-type": "application/json" }, body: "{}" })).status);
    assert.equal(without, 401, "our own page without its token");
    await shows("plant-root", "Verified");
    broken.splice(0); // the browser reports the refusals, which were the point
  });

  await step("it fits from 360 pixels to 4K, in light and dark, and axe-core finds nothing", async () => {
    await row("plant-root").getByRole("button").click();
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      for (const [width, height] of [[360, 740], [1440, 900], [3840, 2160]]) {
        await page.setViewportSize({ width, height });
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= width, `${wide} pixels do not fit into ${width}`);
        await isAccessible(`in ${colorScheme} at ${width}`);
      }
      await page.setViewportSize({ width: 1440, height: 900 });
      if (screenshots) await page.screenshot({ path: join(screenshots, `page-${colorScheme}.png`) });
    }
  });

  await step("it starts over when it is told to", async () => {
    await open("Reset");
    await dialog().getByRole("button", { name: "Reset" }).click();
    await page.getByText("No certificate has been uploaded.").waitFor();
  });

  assert.deepEqual(broken, [], "errors of the page");
} finally {
  await browser.close();
}
