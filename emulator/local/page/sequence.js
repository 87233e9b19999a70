// One run as a picture: who called whom, when, for how long, and what came of it.

import { h, reconcile } from "./dom.js";

const LANES = ["Person", "Event Grid", "Host", "Handler", "Identity", "DPS", "Vault"];
const SVG = "http://www.w3.org/2000/svg";

/** The lanes an entry goes from and to. */
function ends(entry) {
  const service = entry.operation.split(".")[0];
  if (service === "eventGrid") return [1, 2];
  if (service === "functions") return [2, 3];
  const to = { identity: 4, dps: 5, arm: 5, vault: 6 }[service] ?? 5;
  const byHandler = entry.traceId !== undefined || (entry.userAgent ?? "").startsWith("keyholder");
  return [byHandler ? 3 : 0, to];
}

const WORDS = {
  "eventGrid.deliver": "deliver the event",
  "functions.invoke": "invoke VerifyOnUpload",
  "identity.getToken": "token",
  "dps.putCertificate": "upload",
  "dps.getCertificate": "look",
  "dps.deleteCertificate": "delete",
  "dps.generateVerificationCode": "ask for a code",
  "dps.verify": "submit the certificate",
  "vault.challenge": "which token?",
  "vault.getCertificate": "find the CA",
  "vault.sign": "sign the digest",
  "vault.getSecret": "pull the key",
};

const succeeded = (entry) => (entry.status >= 200 && entry.status < 300) || entry.operation === "vault.challenge";
const short = (etag) => `${etag.slice(0, 6)}…${etag.slice(-6)}`;

/** What an entry has to say, in words. */
function told(entry) {
  const lines = [];
  if (entry.attempt > 1) lines.push(`attempt ${entry.attempt}`);
  if (entry.ifMatch || entry.etag) {
    const [from, to] = [entry.ifMatch, entry.etag].map((etag) => (etag ? short(etag) : "none"));
    lines.push(entry.ifMatch && entry.etag ? `etag ${from} → ${to}` : entry.etag ? `etag ${to}` : `if etag is ${from}`);
  }
  if (entry.code) lines.push(`code ${entry.code}`);
  if (entry.operation.startsWith("vault.") && entry.object) lines.push(entry.object);
  return lines;
}

const name = (effect) => (typeof effect === "string" ? effect : Object.entries(effect).map(([kind, value]) => `${kind} ${typeof value === "object" ? "" : value}`).join());

export class Sequence {
  #list = h("ol", { class: "calls" });
  element = h(
    "div",
    { class: "sequence" },
    h(
      "div",
      { class: "call lanes", "aria-hidden": "true" },
      h("div", { class: "arrows" }, ...LANES.map((lane) => h("span", {}, lane))),
      h("div", {}),
      h("div", { class: "bars quiet" }),
    ),
    this.#list,
  );

  show(entries) {
    const began = Math.min(...entries.map((entry) => entry.beganMicros));
    const ended = Math.max(...entries.map((entry) => entry.beganMicros + (entry.tookMicros ?? 0)));
    const span = Math.max(ended - began, 1);
    this.element.querySelector(".lanes .bars").textContent = `0 to ${milliseconds(span)}`;
    reconcile(
      this.#list,
      entries,
      (entry) => entry.sequence,
      call,
      (row, entry) => {
        const bar = row.querySelector(".bar");
        bar.style.left = `${((entry.beganMicros - began) / span) * 100}%`;
        bar.style.width = `${Math.max(((entry.tookMicros ?? 0) / span) * 100, 0.5)}%`;
      },
    );
  }
}

function call(entry) {
  const [from, to] = ends(entry);
  const good = succeeded(entry);
  const status = entry.status === 0 ? "no answer" : String(entry.status);
  const took = entry.tookMicros === undefined ? "" : milliseconds(entry.tookMicros);
  const what = WORDS[entry.operation] ?? entry.operation;
  return h(
    "li",
    { class: `call ${good ? "good" : "bad"}` },
    h("div", { class: "arrows", "aria-hidden": "true" }, arrow(from, to, good)),
    h(
      "div",
      { class: "told" },
      h("span", { class: "visually-hidden" }, `${LANES[from]} to ${LANES[to]}: `),
      h("strong", {}, what),
      " ",
      h("span", { class: `status ${good ? "good" : "bad"}` }, `${good ? "" : "✗ "}${status}`),
      " ",
      h("span", { class: "quiet" }, [entry.operation, ...told(entry)].join(" · ")),
      entry.fault ? h("p", { class: "fault" }, `⚡ fault: ${name(entry.fault)}`) : null,
      entry.note && !good ? h("p", { class: "note" }, entry.note) : null,
    ),
    h("div", { class: "bars", title: took }, h("div", { class: "bar" }), h("span", { class: "took quiet" }, took)),
  );
}

/** From one lane to another, on the middles of equal columns. */
function arrow(from, to, good) {
  const middle = (lane) => ((lane + 0.5) / LANES.length) * 700;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 700 24");
  svg.setAttribute("preserveAspectRatio", "none");
  const [start, end] = [middle(from), middle(to)];
  const tip = end > start ? -12 : 12;
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("class", `arrow ${good ? "good" : "bad"}`);
  path.setAttribute("d", `M${start},12H${end}m${tip},-6L${end},12l${tip},6`);
  svg.append(path);
  return svg;
}

export function milliseconds(micros) {
  if (micros >= 1e6) return `${(micros / 1e6).toFixed(2)} s`;
  return `${(micros / 1000).toFixed(micros < 10000 ? 1 : 0)} ms`;
}
