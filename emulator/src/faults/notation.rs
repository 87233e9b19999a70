//! An effect as a person types it: its name in JSON, and what belongs to it after an equals sign.

use std::str::FromStr;

use serde_json::Value;

use super::Effect;
use crate::span;

/// Text that names no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no effect; these are: answer=STATUS, throttle, throttle=SECONDS, delay=TIME (as in delay=1s500ms), \
     silence, resetBefore, resetAfter, truncated, html, wrongShape, staleEtag, somebodyElseWrites, acceptAnyProof"
)]
pub struct UnknownEffect(String);

impl Effect {
    /// What it is called in JSON and on the command line.
    pub(super) fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(Value::Object(members)) => {
                members.into_iter().next().map(|(name, _)| name).unwrap_or_default()
            }
            Ok(name) => name.as_str().unwrap_or_default().to_owned(),
            Err(_) => String::new(),
        }
    }
}

impl FromStr for Effect {
    type Err = UnknownEffect;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let unknown = || UnknownEffect(text.to_owned());
        Ok(match (name, value) {
            ("answer", Some(status)) => Effect::Answer(status.parse().map_err(|_| unknown())?),
            ("throttle", None) => Effect::Throttle { retry_after: None },
            ("throttle", Some(seconds)) => {
                Effect::Throttle { retry_after: Some(seconds.parse().map_err(|_| unknown())?) }
            }
            ("delay", Some(time)) => Effect::Delay(span::parse(time).map_err(|_| unknown())?),
            ("silence", None) => Effect::Silence,
            ("resetBefore", None) => Effect::ResetBefore,
            ("resetAfter", None) => Effect::ResetAfter,
            ("truncated", None) => Effect::Truncated,
            ("html", None) => Effect::Html,
            ("wrongShape", None) => Effect::WrongShape,
            ("staleEtag", None) => Effect::StaleEtag,
            ("somebodyElseWrites", None) => Effect::SomebodyElseWrites,
            ("acceptAnyProof", None) => Effect::AcceptAnyProof,
            _ => return Err(unknown()),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::faults::{Calls, Fault};

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
            assert_eq!(Some(effect.name().as_str()), text.split('=').next());
            assert_eq!(serde_json::from_value::<Effect>(form).unwrap(), effect, "{text}");
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
