// Faults, clock, shell and reset: what a person does to the emulator itself.

import { dialog } from "./actions.js";
import * as api from "./api.js";
import { h, reconcile, say, setText } from "./dom.js";

/** How the command line writes an effect: `answer=503`. */
function written(effect) {
  if (typeof effect === "string") return effect;
  const [[name, value]] = Object.entries(effect);
  const inner = value !== null && typeof value === "object" ? Object.values(value)[0] : value;
  return inner === undefined || inner === null ? name : `${name}=${inner}`;
}

function calls(fields) {
  const [kind, count] = [fields.calls.value, Number(fields.count.value)];
  return kind === "always" ? "always" : { [kind]: count };
}

function option(calls) {
  if (calls === "always") return "";
  const [[kind, count]] = Object.entries(calls);
  return ` --${kind} ${count}`;
}

function inWords(fault) {
  const which = fault.calls === "always" || !fault.calls ? "every call" : Object.entries(fault.calls).map(([kind, count]) => ({ first: `the first ${count}`, nth: `call ${count}`, every: `one in ${count}` })[kind] ?? kind).join();
  return `${fault.operation}${fault.object ? ` of ${fault.object}` : ""}: ${written(fault.effect)}, ${which}`;
}

export class Laboratory {
  #effects = new Map();
  #changed;

  /** `changed()` is called whenever something was done that the page should show. */
  constructor(state, changed) {
    this.#changed = changed;
    this.#faults();
    this.#clock(state);
    dialog("shell", {
      open: async () => {
        const { variables } = await api.environment();
        this.exports = variables.map(({ name, value }) => `export ${name}='${value.replaceAll("'", `'\\''`)}'`).join("\n");
      },
      command: () => this.exports ?? "",
    });
    dialog("reset", {
      command: () => "emulator reset",
      work: async () => {
        await api.reset();
        say("Everything is as it was at start.");
        changed();
      },
    });
  }

  #faults() {
    const chosen = (fields) => ({
      operation: fields.operation.value,
      effect: JSON.parse(fields.effect.value || '"silence"'),
      calls: calls(fields),
      ...(fields.object.value ? { object: fields.object.value } : {}),
    });
    const element = document.getElementById("faults");
    const offerEffects = (fields) => {
      const effects = this.#effects.get(fields.operation.value) ?? [];
      fields.effect.replaceChildren(...effects.map((effect) => h("option", { value: JSON.stringify(effect) }, written(effect))));
    };
    const { refresh, fail } = dialog("faults", {
      open: async (fields) => {
        if (this.#effects.size === 0) {
          const { operations } = await api.operations();
          operations.forEach(({ operation, effects }) => this.#effects.set(operation, effects));
          fields.operation.replaceChildren(...operations.filter(({ effects }) => effects.length > 0).map(({ operation }) => h("option", {}, operation)));
          fields.operation.value = "dps.verify";
          offerEffects(fields);
        }
        await this.showFaults();
      },
      command: (fields) => {
        const fault = chosen(fields);
        return `emulator faults add ${fault.operation} ${written(fault.effect)}${option(fault.calls)}${fault.object ? ` --object ${fault.object}` : ""}`;
      },
      work: async (fields) => {
        await api.addFault(chosen(fields));
        await this.showFaults();
        say("The rule is in force.");
        return "stay";
      },
    });
    const fields = element.querySelector("form").elements;
    fields.operation.addEventListener("input", () => {
      offerEffects(fields);
      refresh();
    });
    fields.clear.addEventListener("click", () => api.clearFaults().then(() => this.showFaults(), fail));
  }

  /** The rules in force, with how often each has struck. */
  async showFaults() {
    const { faults } = await api.faults();
    setText(document.getElementById("fault-count"), faults.length > 0 ? String(faults.length) : "");
    reconcile(
      document.getElementById("rules"),
      faults,
      (rule) => rule.id,
      ({ id, fault }) =>
        h(
          "li",
          {},
          h("span", {}, inWords(fault)),
          h("span", { class: "hits" }),
          h("button", { type: "button", "aria-label": `Remove: ${inWords(fault)}`, onclick: () => api.removeFault(id).then(() => this.showFaults()) }, "Remove"),
        ),
      (element, { hits }) => setText(element.querySelector(".hits"), hits === 1 ? "1 hit" : `${hits} hits`),
    );
  }

  #clock(state) {
    const change = async (what) => {
      const clock = await api.changeClock(what);
      setText(document.getElementById("time-now"), clock.now);
      setText(freeze, clock.frozen ? "Let it run" : "Freeze");
      this.#changed();
      return clock;
    };
    const { fail } = dialog("time", {
      open: () => {
        const { clock } = state().overview;
        setText(document.getElementById("time-now"), clock.now);
        setText(freeze, clock.frozen ? "Let it run" : "Freeze");
      },
      command: (fields) => `emulator clock advance '${fields.by.value}'`,
      work: async (fields) => {
        const { now } = await change({ advance: fields.by.value });
        say(`It is ${now}.`);
        return "stay";
      },
    });
    const freeze = document.getElementById("time").querySelector('[name="freeze"]');
    freeze.addEventListener("click", () => change({ frozen: freeze.textContent === "Freeze" }).catch(fail));
  }
}
