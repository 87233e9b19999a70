// How long the page takes to show 200 certificates and 5,000 journal entries: `node measure.mjs <address of the page>`.
// It prints and judges nothing: a machine may be busy.

import { chromium } from "playwright-core";

const [address] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
});

/** Fills the world from within the page, which may. */
async function fill() {
  const authorization = `Bearer ${sessionStorage.getItem("token")}`;
  const ask = async (path, body) => {
    const headers = { "content-type": "application/json", authorization };
    const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path} ${JSON.stringify(body).slice(0, 200)}: ${await answer.text()}`);
    return answer.json();
  };
  const [{ certificate }] = await ask("/page/authorities", { root: "measured", intermediate: "unused" });
  const { addresses } = await (await fetch("/_emulator", { headers: { authorization } })).json();
  const { registries } = await (await fetch("/_emulator/registries", { headers: { authorization } })).json();
  const group = registries[0].id.split("/").slice(0, -1).join("/");
  for (let instance = 0; instance < 8; instance++) {
    const dps = `${addresses.arm}${group}/measured-${instance}`;
    const put = (url, body) => ask("/page/relay", { method: "PUT", url: `${url}?api-version=2022-12-12`, body });
    await put(dps, { location: "westeurope", sku: { name: "S1", capacity: 1 }, properties: {} });
    for (let number = 0; number < 25; number++) {
      await put(`${dps}/certificates/ca-${number}`, { properties: { certificate: btoa(certificate) } });
    }
  }
  for (let call = 0; call < 5000; call++) {
    await ask("/page/relay", { method: "GET", url: `${addresses.arm}${group}/measured-0/certificates/ca-${call % 25}?api-version=2022-12-12` });
  }
}

try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await page.goto(address);
  await page.evaluate(fill);
  for (let run = 0; run < 5; run++) {
    await page.goto(address);
    await page.getByText("ca-24").last().waitFor();
    const [paint, certificates, journal] = await page.evaluate(async () => {
      while (performance.getEntriesByName("journal").length === 0) await new Promise(requestAnimationFrame);
      return ["first-contentful-paint", "certificates", "journal"].map((name) => performance.getEntriesByName(name)[0].startTime);
    });
    console.log(`first paint ${paint.toFixed(0)} ms, 200 certificates drawn ${certificates.toFixed(0)} ms, 5,000 entries read ${journal.toFixed(0)} ms`);
  }
} finally {
  await browser.close();
}
