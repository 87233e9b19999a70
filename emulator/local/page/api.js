// What the page asks of the emulator.

// The token stands in the address that `up` prints, behind the `#`, which no browser sends anywhere. Every user of the
// machine can ask for this page, so it cannot bring the token along.
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  sessionStorage.setItem("token", given);
  history.replaceState(null, "", location.pathname);
}
const authorization = `Bearer ${sessionStorage.getItem("token") ?? ""}`;

async function ask(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: { "content-type": "application/json", authorization },
    body: method === "GET" ? undefined : JSON.stringify(body ?? {}),
  });
  const text = await answer.text();
  let read = text;
  try {
    read = JSON.parse(text);
  } catch {
    // Not every refusal is JSON.
  }
  if (answer.status === 401) throw new Error("open this page at the address that `emulator up` printed: it has the token of this run");
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

/** Follows the journal from an entry on, and picks it up again where it lost it. An EventSource sends no token. */
export async function follow(since, told) {
  for (;;) {
    try {
      const answer = await fetch(`/_emulator/journal/stream?since=${since}`, { headers: { authorization } });
      if (!answer.ok) throw new Error(`the journal was answered with ${answer.status}`);
      told.found();
      for await (const { event, data, id } of events(answer.body)) {
        if (id) since = id;
        if (event === "entry") told.entry(JSON.parse(data));
        if (event === "cleared") told.cleared();
      }
    } catch (error) {
      console.warn(error);
    }
    told.lost();
    await new Promise((again) => setTimeout(again, 3000));
  }
}

/** The server-sent events in a body, as they come. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const fields = part.split("\n").map((line) => line.split(/: ?(.*)/s, 2));
      yield Object.fromEntries(fields.filter(([name]) => name !== ""));
    }
  }
}
