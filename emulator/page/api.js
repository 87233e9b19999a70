// What the page asks of the emulator.

const token = document.querySelector('meta[name="page-token"]').content;

async function ask(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: { "content-type": "application/json", "x-page-token": token },
    body: method === "GET" ? undefined : JSON.stringify(body ?? {}),
  });
  const text = await answer.text();
  let read = text;
  try {
    read = JSON.parse(text);
  } catch {
    // Not every refusal is JSON.
  }
  if (!answer.ok) throw new Error(reason(read) ?? `${method} ${path} was answered with ${answer.status}`);
  return read;
}

/** The sentence in an error of the control API, of ARM, of Key Vault or of DPS. */
function reason(body) {
  if (typeof body === "string") return body || undefined;
  return body?.error?.message ?? body?.message;
}

export const overview = () => ask("GET", "/_emulator");
export const registries = () => ask("GET", "/_emulator/registries");
export const journal = (limit) => ask("GET", `/_emulator/journal?limit=${limit}`);
export const environment = () => ask("GET", "/_emulator/environment");
export const operations = () => ask("GET", "/_emulator/operations");
export const faults = () => ask("GET", "/_emulator/faults");
export const addFault = (fault) => ask("POST", "/_emulator/faults", fault);
export const removeFault = (id) => ask("DELETE", `/_emulator/faults/${id}`);
export const clearFaults = () => ask("DELETE", "/_emulator/faults");
export const changeClock = (change) => ask("PATCH", "/_emulator/clock", change);
export const reset = () => ask("POST", "/_emulator/reset");
export const makeAuthorities = (root, intermediate) => ask("POST", "/page/authorities", { root, intermediate });

/** A request to ARM or a vault, as the operator. */
export const relay = (method, url, { ifMatch, body } = {}) => ask("POST", "/page/relay", { method, url, ifMatch, body });

/** Follows the journal from an entry on; the browser picks it up again by itself where it lost it. */
export function follow(since, { entry, cleared, lost, found }) {
  const stream = new EventSource(`/_emulator/journal/stream?since=${since}`);
  stream.addEventListener("entry", (event) => entry(JSON.parse(event.data)));
  stream.addEventListener("cleared", cleared);
  stream.addEventListener("error", lost);
  stream.addEventListener("open", found);
}
