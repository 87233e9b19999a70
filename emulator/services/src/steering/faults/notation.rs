//! The one table of effects: how each is written on the command line, what it does, and an example of it. The parser,
//! the help, the control API's list and the documentation are made of it.

use std::str::FromStr;
use std::time::Duration;

use super::effect::Effect;
use crate::ground::span;

/// How an effect is written, and what it does.
pub struct Notation {
    /// As a person types it, in every form.
    pub forms: &'static [&'static str],
    /// What it does.
    pub about: &'static str,
    /// One of it.
    pub example: Effect,
    read: fn(Option<&str>) -> Option<Effect>,
}

/// Text that names no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no effect; these are: {forms}", forms = forms())]
pub struct UnknownEffect(String);

macro_rules! effects {
    ($($pattern:pat => $name:literal, $forms:expr, $about:literal, $example:expr, $read:expr;)+) => {
        /// Every effect. One that is missing here has no name, and does not compile.
        pub const EFFECTS: &[Notation] =
            &[$(Notation { forms: $forms, about: $about, example: $example, read: $read }),+];

        impl Effect {
            /// What it is called in JSON and on the command line.
            pub(crate) fn name(self) -> &'static str {
                match self { $($pattern => $name),+ }
            }
        }
    };
}

effects! {
    Effect::Answer(_) => "answer", &["answer=STATUS"],
        "the service's own error with this status, and nothing happens",
        Effect::Answer(503), |status| status?.parse().ok().map(Effect::Answer);
    Effect::Throttle { .. } => "throttle", &["throttle", "throttle=SECONDS"],
        "429, with a Retry-After of so many seconds, and nothing happens",
        Effect::Throttle { retry_after: Some(5) }, |seconds| {
            let retry_after = seconds.map(str::parse).transpose().ok()?;
            Some(Effect::Throttle { retry_after })
        };
    Effect::Delay(_) => "delay", &["delay=TIME"],
        "it happens, and the answer comes so much later (delay=1s500ms)",
        Effect::Delay(Duration::from_secs(5)), |time| span::parse(time?).ok().map(Effect::Delay);
    Effect::Silence => "silence", &["silence"],
        "nothing happens, and no answer ever comes", Effect::Silence, |value| alone(value, Effect::Silence);
    Effect::ResetBefore => "resetBefore", &["resetBefore"],
        "the connection is reset, and nothing happens",
        Effect::ResetBefore, |value| alone(value, Effect::ResetBefore);
    Effect::ResetAfter => "resetAfter", &["resetAfter"],
        "it happens, and the connection is reset: the answer is lost",
        Effect::ResetAfter, |value| alone(value, Effect::ResetAfter);
    Effect::Truncated => "truncated", &["truncated"],
        "it happens, and the answer breaks off in the middle",
        Effect::Truncated, |value| alone(value, Effect::Truncated);
    Effect::Html => "html", &["html"],
        "a proxy's page in place of the answer, and nothing happens",
        Effect::Html, |value| alone(value, Effect::Html);
    Effect::WrongShape => "wrongShape", &["wrongShape"],
        "it happens, and the answer is JSON of another shape",
        Effect::WrongShape, |value| alone(value, Effect::WrongShape);
    Effect::StaleEtag => "staleEtag", &["staleEtag"],
        "it happens, and the answer carries the former etag",
        Effect::StaleEtag, |value| alone(value, Effect::StaleEtag);
    Effect::SomebodyElseWrites => "somebodyElseWrites", &["somebodyElseWrites"],
        "somebody else writes just before, so that the caller's etag is stale",
        Effect::SomebodyElseWrites, |value| alone(value, Effect::SomebodyElseWrites);
    Effect::AcceptAnyProof => "acceptAnyProof", &["acceptAnyProof"],
        "DPS takes any certificate for a proof",
        Effect::AcceptAnyProof, |value| alone(value, Effect::AcceptAnyProof);
}

impl FromStr for Effect {
    type Err = UnknownEffect;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let notation = EFFECTS.iter().find(|notation| notation.example.name() == name);
        notation.and_then(|notation| (notation.read)(value)).ok_or_else(|| UnknownEffect(text.to_owned()))
    }
}

/// An effect that takes no value.
fn alone(value: Option<&str>, effect: Effect) -> Option<Effect> {
    value.is_none().then_some(effect)
}

fn forms() -> String {
    EFFECTS.iter().flat_map(|notation| notation.forms).copied().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::steering::faults::{Calls, Fault};

    #[test]
    fn an_effect_has_one_name_in_json_and_on_the_command_line() {
        for (text, form) in [
            ("answer=503", json!({ "answer": 503 })),
            ("throttle=7", json!({ "throttle": { "retryAfter": 7 } })),
            ("throttle", json!({ "throttle": {} })),
            ("delay=1s 500ms", json!({ "delay": "1s 500ms" })),
            ("silence", json!("silence")),
            ("resetBefore", json!("resetBefore")),
            ("resetAfter", json!("resetAfter")),
            ("truncated", json!("truncated")),
            ("html", json!("html")),
            ("wrongShape", json!("wrongShape")),
            ("staleEtag", json!("staleEtag")),
            ("somebodyElseWrites", json!("somebodyElseWrites")),
            ("acceptAnyProof", json!("acceptAnyProof")),
        ] {
            let effect: Effect = text.parse().unwrap();
            assert_eq!(serde_json::to_value(effect).unwrap(), form, "{text}");
            assert_eq!(Some(effect.name()), text.split('=').next());
            assert_eq!(serde_json::from_value::<Effect>(form).unwrap(), effect, "{text}");
        }
    }

    #[test]
    fn every_effect_of_the_table_is_read_as_it_is_written() {
        for notation in EFFECTS {
            let name = notation.example.name();
            assert!(notation.forms.iter().all(|form| form.starts_with(name)), "{name}");
            let form = serde_json::to_value(notation.example).unwrap();
            assert!(form == name || form.get(name).is_some(), "{form}");
        }
    }

    #[test]
    fn other_text_is_refused_with_every_effect_there_is() {
        for text in
            ["", "answer", "answer=", "answer=often", "silence=1", "delay=5", "Silence", "throttle=-1"]
        {
            let refusal = text.parse::<Effect>().unwrap_err().to_string();
            assert!(refusal.contains(&format!("{text:?} is no effect")), "{refusal}");
            assert!(refusal.contains("answer=STATUS") && refusal.contains("acceptAnyProof"), "{refusal}");
        }
    }

    #[test]
    fn a_rule_s_json_is_stable_and_says_no_more_than_was_asked() {
        let form = json!({
            "operation": "dps.verify",
            "object": "root-ca",
            "calls": { "sometimes": { "perMille": 250, "seed": 7 } },
            "effect": { "answer": 503 },
        });
        let fault: Fault = serde_json::from_value(form.clone()).unwrap();
        assert_eq!(fault.calls, Calls::Sometimes { per_mille: 250, seed: 7 });
        assert_eq!(serde_json::to_value(&fault).unwrap(), form);

        let short: Fault = read(json!({ "operation": "vault.sign", "effect": "silence" })).unwrap();
        assert_eq!((short.object, short.calls), (None, Calls::Always));
        for (calls, form) in [
            (Calls::First(3), json!({ "first": 3 })),
            (Calls::Nth(2), json!({ "nth": 2 })),
            (Calls::Every(5), json!({ "every": 5 })),
            (Calls::Always, json!("always")),
        ] {
            assert_eq!(serde_json::to_value(calls).unwrap(), form);
        }
    }

    #[test]
    fn a_misspelt_member_is_refused_and_never_taken_for_the_default() {
        for (form, hint) in [
            (json!({ "operation": "vault.sign", "effect": "silence", "call": { "first": 1 } }), "`call`"),
            (json!({ "operation": "vault.sing", "effect": "silence" }), "did you mean vault.sign?"),
            (json!({ "operation": "vault.sign", "effect": "quiet" }), "`quiet`"),
            (json!({ "operation": "vault.sign", "effect": { "delay": "soon" } }), "soon"),
            (json!({ "operation": "vault.sign" }), "`effect`"),
        ] {
            let refusal = read(form.clone()).unwrap_err().to_string();
            assert!(refusal.contains(hint), "{form}: {refusal}");
        }
    }

    fn read(form: Value) -> serde_json::Result<Fault> {
        serde_json::from_value(form)
    }
}
