// What a person does to certificates, each with the line that does the same in a shell.

import * as api from "./api.js";
import { h, say } from "./dom.js";
import { same } from "./story.js";

const DPS_API = "2022-12-12";
const VAULT_API = "2025-07-01";

/**
 * A dialog: `open(it)` fills it, `command(fields)` is its line for a shell, and `work(fields)` is done when it is
 * asked for; what goes wrong then is shown in it, and nothing is lost.
 */
export function dialog(name, { open, command, work }) {
  const element = document.getElementById(name);
  const form = element.querySelector("form");
  const fields = form.elements;
  const trouble = element.querySelector(".trouble");
  const code = element.querySelector(".command code");
  const refresh = () => code && (code.textContent = command(fields));
  const fail = (error) => trouble && (trouble.textContent = error.message);

  form.addEventListener("input", refresh);
  form.addEventListener("submit", async (event) => {
    if (event.submitter?.value !== "do") return;
    event.preventDefault();
    event.submitter.disabled = true;
    trouble.textContent = "";
    try {
      if ((await work(fields)) !== "stay") element.close();
      refresh();
    } catch (error) {
      fail(error);
    } finally {
      event.submitter.disabled = false;
    }
  });
  element.querySelector("[data-copies]")?.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.textContent);
    say("Copied.");
  });
  document.querySelector(`[data-opens="${name}"]`).addEventListener("click", async () => {
    if (trouble) trouble.textContent = "";
    await open?.(fields);
    refresh();
    element.showModal();
  });
  return { refresh, fail };
}

const quoted = (text) => (/^[\w./:@=+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
const where = (registry) => `--dps-name ${registry.name} --resource-group ${registry.resourceGroup}`;
const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

export class Actions {
  #state;

  /** `state()` tells what is there: `registries` and `overview`. */
  constructor(state) {
    this.#state = state;
    const registry = (fields) =>
      state().registries.find((registry) => registry.id === fields.registry.value) ?? { name: "", resourceGroup: "" };
    const offer = (select, values) => select.replaceChildren(...values.map(([value, text]) => h("option", { value }, text)));
    const offerRegistries = (fields) => offer(fields.registry, state().registries.map(({ id, name }) => [id, name]));

    dialog("upload", {
      open: offerRegistries,
      command: (fields) =>
        `az iot dps certificate create ${where(registry(fields))} --name ${quoted(fields.name.value || "my-ca")} --path ca.pem${fields.verified.checked ? " --verified" : ""}`,
      work: (fields) => this.upload(registry(fields), fields.name.value, fields.certificate.value, fields.verified.checked),
    });
    this.#takeDrops(document.getElementById("upload"));

    dialog("make", {
      open: (fields) => {
        offerRegistries(fields);
        offer(fields.vault, Object.entries(state().overview.addresses.vaults).map(([name, url]) => [url, name]));
      },
      command: (fields) => {
        const [vault, name] = [fields.vault.selectedOptions[0]?.textContent, fields.name.value];
        const tags = fields.granted.checked ? ` --tags keyholder=${registry(fields).name}` : "";
        return [
          `az keyvault certificate import --vault-name ${vault} --name ${name}-root --file root.pem${tags}`,
          `az keyvault secret set --vault-name ${vault} --name ${name}-intermediate --file intermediate.pem${tags}`,
          `az iot dps certificate create ${where(registry(fields))} --name ${name}-root --path root.pem`,
          `az iot dps certificate create ${where(registry(fields))} --name ${name}-intermediate --path intermediate.pem`,
        ].join("\n");
      },
      work: (fields) => this.#make(registry(fields), fields.vault.value, fields.name.value, fields.granted.checked),
    });
  }

  async upload(registry, name, pem, verified = false) {
    const existing = registry.certificates.find((certificate) => same(certificate.name) === same(name));
    const properties = { certificate: base64(pem), ...(verified ? { isVerified: true } : {}) };
    await api.relay("PUT", this.#url(`${registry.id}/certificates/${encodeURIComponent(name)}`), { ifMatch: existing?.etag, body: { properties } });
    say(`${name} is uploaded.`);
  }

  async #make(registry, vault, name, granted) {
    const [root, intermediate] = await api.makeAuthorities(`${name} root`, `${name} intermediate`);
    const tags = granted ? { keyholder: registry.name } : {};
    const contentType = "application/x-pem-file";
    await api.relay("POST", `${vault}/certificates/${name}-root/import?api-version=${VAULT_API}`, {
      body: { value: root.keyAndCertificate, tags, policy: { key_props: { exportable: false }, secret_props: { contentType } } },
    });
    await api.relay("PUT", `${vault}/secrets/${name}-intermediate?api-version=${VAULT_API}`, {
      body: { value: intermediate.keyAndCertificate, contentType, tags },
    });
    await this.upload(registry, `${name}-root`, root.certificate);
    await this.upload(registry, `${name}-intermediate`, intermediate.certificate);
  }

  /** What can be done to one certificate. */
  buttons(certificate) {
    const registry = () => this.#state().registries.find((registry) => same(certificate.id).startsWith(`${same(registry.id)}/`));
    const now = () => registry().certificates.find(({ id }) => id === certificate.id);
    const action = (label, verb, done, request) => {
      const line = () => `az iot dps certificate ${verb} ${where(registry())} --name ${certificate.name} --etag '${now()?.etag ?? certificate.etag}'`;
      const work = async () => {
        try {
          await request(now());
          say(done);
        } catch (error) {
          say(error.message);
        }
      };
      const copy = async () => {
        await navigator.clipboard.writeText(line());
        say(`Copied: ${line()}`);
      };
      return h(
        "span",
        { class: "action" },
        h("button", { type: "button", onclick: work }, label),
        h("button", { type: "button", onclick: copy, title: "Copy the az line", "aria-label": `Copy the az line for: ${label}` }, "az"),
      );
    };
    const url = (end = "") => this.#url(`${certificate.id}${end}`);
    return h(
      "p",
      { class: "actions" },
      action("New code", "generate-verification-code", `A new code was made for ${certificate.name}; any earlier one is void.`, ({ etag }) =>
        api.relay("POST", url("/generateVerificationCode"), { ifMatch: etag }),
      ),
      action("Delete", "delete", `${certificate.name} is deleted.`, ({ etag }) => api.relay("DELETE", url(), { ifMatch: etag })),
    );
  }

  #url(path) {
    return `${this.#state().overview.addresses.arm}${path}?api-version=${DPS_API}`;
  }

  #takeDrops(element) {
    const text = element.querySelector("textarea");
    element.addEventListener("dragover", (event) => event.preventDefault());
    element.addEventListener("drop", async (event) => {
      event.preventDefault();
      const [file] = event.dataTransfer.files;
      if (!file) return;
      text.value = await file.text();
      const name = element.querySelector('[name="name"]');
      if (!name.value) name.value = file.name.replace(/\.[^.]*$/, "").replaceAll(/[^A-Za-z0-9._-]/g, "-");
      text.dispatchEvent(new Event("input", { bubbles: true }));
    });
  }
}
