// The certificates of each DPS instance, as the portal lists them.

import { h, reconcile, setText } from "./dom.js";
import { same } from "./story.js";

/** Sign, word and class of a state, so that it is told apart by more than colour. */
const STATES = {
  verified: ["✓", "Verified"],
  unverified: ["○", "Unverified"],
  denied: ["⊘", "Denied"],
  failed: ["!", "Unverified, failed"],
  again: ["↻", "Unverified, to be tried again"],
  verifiedWithoutProof: ["△", "Verified without proof"],
};

/** What to show for a certificate: what DPS says, and why the handler left it so. */
export function stateOf(certificate, stories) {
  if (certificate.status !== "unverified") return certificate.status;
  const last = stories.lastOutcome(certificate.id);
  return last && STATES[last.kind] && !last.kind.startsWith("verified") ? last.kind : "unverified";
}

export function badge(state) {
  const [sign, word] = STATES[state];
  return h("span", { class: `badge ${state}` }, h("span", { class: "sign", "aria-hidden": "true" }, sign), h("span", {}, word));
}

export class CertificateList {
  #parent;
  #choose;

  constructor(parent, choose) {
    this.#parent = parent;
    this.#choose = choose;
    parent.replaceChildren();
  }

  show(registries, stories, chosen) {
    reconcile(
      this.#parent,
      registries,
      (registry) => registry.id,
      (registry) => this.#registry(registry),
      (element, registry) => this.#update(element, registry, stories, chosen),
    );
  }

  #registry(registry) {
    const head = ["Name", "Subject", "Thumbprint", "Expires", "Status"];
    const title = `title-${same(registry.id).replaceAll(/[^a-z0-9]/g, "-")}`;
    return h(
      "article",
      { "aria-labelledby": title },
      h("h3", { id: title }, registry.name, h("span", { class: "quiet" }, ` in ${registry.resourceGroup}`)),
      h("p", { class: "none quiet" }, "No certificate has been uploaded. ", h("span", {}, "Make CAs makes two.")),
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, ...head.map((name) => h("th", { scope: "col" }, name)))),
        h("tbody"),
      ),
    );
  }

  #update(element, registry, stories, chosen) {
    const certificates = registry.certificates;
    element.querySelector(".none").hidden = certificates.length > 0;
    element.querySelector("table").hidden = certificates.length === 0;
    reconcile(
      element.querySelector("tbody"),
      certificates,
      (certificate) => certificate.name,
      (certificate) => this.#row(certificate),
      (row, certificate) => update(row, certificate, stateOf(certificate, stories), chosen),
    );
  }

  #row(certificate) {
    const choose = () => this.#choose(certificate.id);
    return h(
      "tr",
      { onclick: choose },
      h("th", { scope: "row" }, h("button", { type: "button", class: "link" }, certificate.name)),
      ...["subject", "thumbprint", "expiry", "status"].map((name) => h("td", { class: name })),
    );
  }
}

function update(row, certificate, state, chosen) {
  const is = chosen !== null && same(chosen) === same(certificate.id);
  row.classList.toggle("chosen", is);
  row.querySelector("button").toggleAttribute("aria-current", is);
  setText(row.querySelector(".subject"), certificate.subject);
  const thumbprint = row.querySelector(".thumbprint");
  if (thumbprint.title !== certificate.thumbprint) {
    thumbprint.title = certificate.thumbprint;
    thumbprint.replaceChildren(h("code", {}, `${certificate.thumbprint.slice(0, 8)}…${certificate.thumbprint.slice(-4)}`));
  }
  setText(row.querySelector(".expiry"), certificate.expiry.slice(0, 10));
  const status = row.querySelector(".status");
  if (status.dataset.state !== state) {
    status.dataset.state = state;
    status.replaceChildren(badge(state));
  }
}
