// Puts the page together: what there is, what happens, and what was chosen.

import * as api from "./api.js";
import { Actions } from "./actions.js";
import { badge, CertificateList, stateOf } from "./certificates.js";
import { h, inNextFrame, say, setText } from "./dom.js";
import { Laboratory } from "./laboratory.js";
import { Sequence } from "./sequence.js";
import { same, Stories } from "./story.js";

/** As much of the past as the journal keeps. */
const PAST = 10000;

const stories = new Stories();
const state = { registries: [], overview: null, chosen: decodeURIComponent(location.hash.slice(1)) || null, run: null };
const list = new CertificateList(document.getElementById("registries"), choose);
const actions = new Actions(() => state);
const laboratory = new Laboratory(() => state, refresh);
const picture = new Sequence();
const conversation = document.getElementById("conversation");

function choose(id) {
  state.chosen = id;
  state.run = null;
  history.replaceState(null, "", `#${encodeURIComponent(id)}`);
  draw();
  document.getElementById("story").scrollIntoView({ block: "nearest" });
}

const draw = inNextFrame(() => {
  list.show(state.registries, stories, state.chosen);
  drawConversation();
});

const kinds = { verified: "verified", denied: "denied", failed: "failed", again: "again", verifiedWithoutProof: "verifiedWithoutProof" };

function drawConversation() {
  const certificate = state.registries.flatMap(({ certificates }) => certificates).find(({ id }) => state.chosen && same(id) === same(state.chosen));
  if (!state.chosen) return;
  const runs = stories.runs(state.chosen);
  const index = state.run !== null && state.run < runs.length ? state.run : runs.length - 1;
  const shown = runs[index];
  const view = conversation.view ?? (conversation.view = frame());
  if (view.of !== state.chosen || view.there !== Boolean(certificate)) {
    view.of = state.chosen;
    view.there = Boolean(certificate);
    conversation.replaceChildren(view.element);
    view.actions.replaceChildren(...(certificate ? [actions.buttons(certificate)] : []));
    setText(view.name, state.chosen.split("/").at(-1));
    view.state = null;
  }
  const current = certificate ? stateOf(certificate, stories) : null;
  if (view.state !== current) {
    view.state = current;
    view.badge.replaceChildren(current ? badge(current) : h("span", { class: "badge" }, "deleted"));
  }
  drawRuns(view, runs, index);
  const outcome = shown?.outcome;
  view.outcome.className = `outcome ${kinds[outcome?.kind] ?? ""}`;
  setText(view.outcome, outcome ? outcome.text : runs.length === 0 ? "Nothing has happened yet." : "");
  picture.element.hidden = !shown;
  if (shown) picture.show(shown.entries);
}

function frame() {
  const parts = { name: h("strong"), badge: h("span"), actions: h("div"), runs: h("div", { class: "runs", role: "group", "aria-label": "Runs" }), outcome: h("p", { class: "outcome" }) };
  parts.element = h("div", {}, h("p", { class: "title" }, parts.name, " ", parts.badge), parts.actions, parts.runs, parts.outcome, picture.element);
  return parts;
}

function drawRuns(view, runs, index) {
  const labels = runs.map(({ invocation, outcome }, number) => (invocation ? `Run ${number + 1}: ${outcome.text.split(":")[0].slice(0, 24)}` : outcome ? "Running" : "By hand"));
  const drawn = `${labels.join("|")}#${index}`;
  if (view.drawn === drawn) return;
  view.drawn = drawn;
  view.runs.replaceChildren(
    ...labels.map((label, number) =>
      h("button", { type: "button", "aria-pressed": String(number === index), onclick: () => { state.run = number; draw(); } }, label),
    ),
  );
}

async function refresh() {
  const [overview, { registries }] = await Promise.all([api.overview(), api.registries()]);
  announce(registries);
  Object.assign(state, { overview, registries });
  showClock(overview.clock);
  draw();
}

/** Tells what has changed for the better, or at all, to whoever does not see it. */
function announce(registries) {
  const before = new Map(state.registries.flatMap(({ certificates }) => certificates).map(({ id, status }) => [id, status]));
  for (const { id, name, status } of registries.flatMap(({ certificates }) => certificates)) {
    if (before.has(id) && before.get(id) !== status) say(`${name} is ${status === "verified" ? "verified" : status === "unverified" ? "unverified" : "verified without proof"}.`);
  }
}

let ticking;
function showClock({ now, frozen }) {
  clearInterval(ticking);
  const [shown, base, since] = [document.getElementById("now"), Date.parse(now), performance.now()];
  const tick = () => setText(shown, new Date(base + (frozen ? 0 : performance.now() - since)).toISOString().slice(0, 19).replace("T", " "));
  tick();
  if (!frozen) ticking = setInterval(tick, 1000);
  setText(document.getElementById("clock-state"), frozen ? "frozen" : "");
}

/** Asks again at most once at a time, and once more if something happened meanwhile. */
function soon(work) {
  let running = false;
  let again = false;
  return async () => {
    if (running) {
      again = true;
      return;
    }
    running = true;
    do {
      again = false;
      await work().catch(() => {});
    } while (again);
    running = false;
  };
}

const refreshSoon = soon(refresh);
const faultsSoon = soon(() => laboratory.showFaults());

async function start() {
  await refresh();
  requestAnimationFrame(() => performance.mark("certificates"));
  const { entries, newest } = await api.journal(PAST);
  entries.forEach((entry) => stories.add(entry));
  draw();
  performance.mark("journal");
  faultsSoon();
  api.follow(newest, {
    entry(entry) {
      const about = stories.add(entry);
      if (entry.fault) faultsSoon();
      if (about.length > 0) draw();
      if (entry.operation.startsWith("dps.") || entry.operation.startsWith("arm.")) refreshSoon();
    },
    cleared() {
      stories.clear();
      state.chosen = null;
      conversation.view = null;
      conversation.replaceChildren(h("p", { class: "quiet" }, "Choose a certificate to see how its possession was proven."));
      refreshSoon();
      faultsSoon();
    },
    lost: () => document.body.classList.add("lost"),
    found: () => document.body.classList.remove("lost"),
  });
}

start().catch((error) => say(`The emulator does not answer: ${error.message}`));
