// The journal, put in order: which entries belong to which certificate, and to which run of the handler.

const INVOKE = "functions.invoke";

/** Ids compare without case. */
export const same = (id) => id.toLowerCase();

export class Stories {
  #entries = new Map();
  #certificatesOfTrace = new Map();
  #byCertificate = new Map();
  #unplaced = new Map();

  /** Takes one entry; answers the ids of the certificates that it is about. */
  add(entry) {
    if (this.#entries.has(entry.sequence)) return [];
    this.#entries.set(entry.sequence, entry);
    const about = new Set((entry.certificates ?? []).map(same));
    const { traceId } = entry;
    if (traceId) {
      const known = this.#certificatesOfTrace.get(traceId) ?? new Set();
      const news = [...about].filter((id) => !known.has(id));
      news.forEach((id) => known.add(id));
      this.#certificatesOfTrace.set(traceId, known);
      // What the trace did before it was known whom it is for.
      for (const id of news) {
        for (const earlier of this.#unplaced.get(traceId) ?? []) this.#place(id, earlier);
      }
      known.forEach((id) => about.add(id));
      this.#unplaced.set(traceId, [...(this.#unplaced.get(traceId) ?? []), entry]);
    }
    about.forEach((id) => this.#place(id, entry));
    return [...about];
  }

  clear() {
    for (const map of [this.#entries, this.#certificatesOfTrace, this.#byCertificate, this.#unplaced]) map.clear();
  }

  #place(id, entry) {
    const entries = this.#byCertificate.get(id) ?? new Map();
    entries.set(entry.sequence, entry);
    this.#byCertificate.set(id, entries);
  }

  /** The entries about a certificate, by when they began. */
  entries(id) {
    return [...(this.#byCertificate.get(same(id))?.values() ?? [])].sort(
      (one, other) => one.beganMicros - other.beganMicros || one.sequence - other.sequence,
    );
  }

  /**
   * The runs for a certificate, oldest first: the handler's calls, and what led to them. What came after the last
   * one, by hand say, is a run without an end.
   */
  runs(id) {
    const entries = this.entries(id);
    const invocations = entries.filter((entry) => entry.operation === INVOKE);
    const runs = invocations.map((invocation) => ({ invocation, entries: [], outcome: outcome(invocation, id) }));
    const rest = [];
    for (const entry of entries) {
      const run =
        runs.find((run) => entry.traceId && run.invocation.traceId === entry.traceId) ??
        (entry.traceId ? undefined : runs.find((run) => end(run.invocation) >= entry.beganMicros));
      (run ? run.entries : rest).push(entry);
    }
    if (rest.length > 0) {
      const running = rest.some((entry) => entry.traceId);
      runs.push({ invocation: null, entries: rest, outcome: running ? { kind: "running", text: "running" } : null });
    }
    return runs;
  }

  /** How the last run for a certificate ended, if one did. */
  lastOutcome(id) {
    const ended = this.entries(id).filter((entry) => entry.operation === INVOKE && entry.status !== 0);
    return ended.length > 0 ? outcome(ended[ended.length - 1], id) : null;
  }
}

const end = (entry) => entry.beganMicros + (entry.takenMicros ?? entry.tookMicros ?? 0);

/** What the handler said of a certificate: `<id>: denied: …`. */
function outcome(invocation, id) {
  for (const line of invocation.said ?? []) {
    for (const part of line.split(/; (?=\/subscriptions\/)/)) {
      if (!same(part).startsWith(`${same(id)}: `)) continue;
      const text = part.slice(id.length + 2);
      return { kind: kind(text), text };
    }
  }
  if (invocation.status === 0) return { kind: "running", text: "no answer yet" };
  return { kind: invocation.status < 300 ? "done" : "failed", text: invocation.said?.join("; ") || invocation.note || "" };
}

function kind(text) {
  const kinds = [
    ["verified without proof", "verifiedWithoutProof"],
    ["verified", "verified"],
    ["already verified", "done"],
    ["gone", "done"],
    ["denied", "denied"],
    ["failed", "failed"],
    ["try again", "again"],
  ];
  return kinds.find(([begins]) => text.startsWith(begins))?.[1] ?? "failed";
}
