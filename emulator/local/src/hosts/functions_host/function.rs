//! `function.json`: a function's name and what triggers it.

use serde_json::Value;

use super::document::{AppError, Document};
use super::outputs::OutputBinding;

/// One function of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    name: String,
    binding: String,
    trigger: Trigger,
    outputs: Vec<OutputBinding>,
    is_disabled: bool,
}

/// What makes a function run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// An event from Event Grid.
    EventGrid {
        /// One event an invocation, or a batch.
        cardinality: Cardinality,
    },
    /// The time.
    Timer(TimerTrigger),
    /// A type nothing here fires, as `function.json` writes it.
    Other(String),
}

/// A timer as `function.json` describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerTrigger {
    /// NCRONTAB, or an app setting in percent signs that holds it.
    pub schedule: String,
    /// Whether it fires when the host starts.
    pub run_on_startup: bool,
    /// Whether the function is told of the run before.
    pub use_monitor: bool,
}

/// How many events one invocation holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    /// Each its own.
    One,
    /// All of a request.
    Many,
}

impl Function {
    /// Understands a folder's name and its `function.json`.
    pub(super) fn of(name: &str, document: &Document) -> Result<Function, AppError> {
        if !is_function_name(name) {
            return Err(AppError::FunctionName { name: name.to_owned() });
        }
        let mut triggers = document
            .objects("bindings")?
            .iter()
            .enumerate()
            .filter(|(_, binding)| text(binding, "type").to_ascii_lowercase().ends_with("trigger"));
        let (Some((index, binding)), None) = (triggers.next(), triggers.next()) else {
            return Err(document.wrong("bindings", "an array with exactly one trigger"));
        };
        let member = |name: &str| format!("bindings.{index}.{name}");

        let binding_name = text(binding, "name");
        if binding_name.is_empty() {
            return Err(
                document.wrong(&member("name"), "the name the handler finds the trigger's value under")
            );
        }
        let trigger = match text(binding, "type") {
            kind if kind.eq_ignore_ascii_case("eventGridTrigger") => {
                let cardinality = match binding.get("cardinality").map(Value::as_str) {
                    None => Cardinality::One,
                    Some(Some(word)) if word.eq_ignore_ascii_case("one") => Cardinality::One,
                    Some(Some(word)) if word.eq_ignore_ascii_case("many") => Cardinality::Many,
                    Some(_) => return Err(document.wrong(&member("cardinality"), "\"one\" or \"many\"")),
                };
                Trigger::EventGrid { cardinality }
            }
            kind if kind.eq_ignore_ascii_case("timerTrigger") => Trigger::Timer(TimerTrigger {
                schedule: match text(binding, "schedule") {
                    "" => return Err(document.wrong(&member("schedule"), SCHEDULE)),
                    schedule => schedule.to_owned(),
                },
                run_on_startup: binding["runOnStartup"].as_bool().unwrap_or(false),
                use_monitor: binding["useMonitor"].as_bool().unwrap_or(true),
            }),
            kind => Trigger::Other(kind.to_owned()),
        };
        let is_disabled = document.member("disabled").and_then(Value::as_bool).unwrap_or(false);
        Ok(Function {
            name: name.to_owned(),
            binding: binding_name.to_owned(),
            trigger,
            outputs: document.objects("bindings")?.iter().filter_map(OutputBinding::read).collect(),
            is_disabled,
        })
    }

    /// The folder's name; its case matters.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of the trigger's binding: what an invocation holds its value under.
    pub fn binding(&self) -> &str {
        &self.binding
    }

    /// What makes it run.
    pub fn trigger(&self) -> &Trigger {
        &self.trigger
    }

    /// The bindings that take what the handler answers.
    pub(super) fn outputs(&self) -> &[OutputBinding] {
        &self.outputs
    }

    /// Whether its trigger is off. Who asks the host to run it still can.
    pub fn is_disabled(&self) -> bool {
        self.is_disabled
    }

    pub(super) fn disable(&mut self) {
        self.is_disabled = true;
    }

    /// Whether the host knows its trigger without an extension bundle.
    pub(super) fn is_built_in(&self) -> bool {
        match &self.trigger {
            Trigger::EventGrid { .. } => false,
            Trigger::Timer(_) => true,
            Trigger::Other(kind) => kind.eq_ignore_ascii_case("httpTrigger"),
        }
    }
}

const SCHEDULE: &str = "six fields, such as \"0 */5 * * * *\", or an app setting that holds them, %NAME%";

fn is_function_name(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn function(text: &str) -> Result<Function, AppError> {
        Function::of("OnEvent", &Document::parse("OnEvent/function.json", text)?)
    }

    #[test]
    fn an_event_grid_trigger_has_a_name_and_a_cardinality() {
        for (file, binding, cardinality) in [
            (
                include_str!("../../../../../tests/fixtures/functions/function.eventgrid.json"),
                "eventGridEvent",
                Cardinality::One,
            ),
            (
                include_str!("../../../../../tests/fixtures/functions/function.eventgrid-many.json"),
                "events",
                Cardinality::Many,
            ),
        ] {
            let function = function(file).unwrap();
            assert_eq!(
                (function.binding(), function.trigger()),
                (binding, &Trigger::EventGrid { cardinality })
            );
        }
    }

    #[test]
    fn a_timer_has_a_schedule_and_may_say_more() {
        let trigger = |text: &str| match function(text).unwrap().trigger() {
            Trigger::Timer(timer) => (timer.schedule.clone(), timer.run_on_startup, timer.use_monitor),
            other => panic!("{other:?}"),
        };
        let documented = include_str!("../../../../../tests/fixtures/functions/function.timer.json");
        assert_eq!(trigger(documented), ("0 */5 * * * *".to_owned(), false, true));
        let given = r#"{"bindings":[{"type":"TimerTrigger","name":"t","schedule":"%WHEN%","runOnStartup":true,"useMonitor":false}]}"#;
        assert_eq!(trigger(given), ("%WHEN%".to_owned(), true, false));
    }

    #[test]
    fn a_function_can_be_disabled_in_its_file() {
        let file = |disabled: &str| {
            format!(r#"{{"bindings":[{{"type":"queueTrigger","name":"q"}}],"disabled":{disabled}}}"#)
        };
        assert!(function(&file("true")).unwrap().is_disabled());
        assert!(!function(&file("false")).unwrap().is_disabled());
    }

    #[test]
    fn other_triggers_are_understood_though_nothing_fires_them() {
        for (file, kind, built_in) in [
            (include_str!("../../../../../tests/fixtures/functions/function.http.json"), "httpTrigger", true),
            (
                include_str!("../../../../../tests/fixtures/functions/function.queue.json"),
                "queueTrigger",
                false,
            ),
        ] {
            let function = function(file).unwrap();
            assert_eq!(function.trigger(), &Trigger::Other(kind.to_owned()));
            assert_eq!(function.is_built_in(), built_in, "{kind}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_by_file_and_member() {
        for (text, expected) in [
            ("{", "OnEvent/function.json is not JSON: "),
            ("{}", "OnEvent/function.json: bindings has to be an array with exactly one trigger"),
            (r#"{"bindings":{}}"#, "OnEvent/function.json: bindings has to be an array of objects"),
            (
                r#"{"bindings":[{"type":"queue","name":"q"}]}"#,
                "OnEvent/function.json: bindings has to be an array with exactly one trigger",
            ),
            (
                r#"{"bindings":[{"type":"timerTrigger","name":"a"},{"type":"eventGridTrigger","name":"b"}]}"#,
                "OnEvent/function.json: bindings has to be an array with exactly one trigger",
            ),
            (
                r#"{"bindings":[{"type":"timerTrigger","name":"a"}]}"#,
                "OnEvent/function.json: bindings.0.schedule has to be six fields",
            ),
            (
                r#"{"bindings":[{"type":"queue","name":"q"},{"type":"eventGridTrigger"}]}"#,
                "OnEvent/function.json: bindings.1.name has to be ",
            ),
            (
                r#"{"bindings":[{"type":"eventGridTrigger","name":"e","cardinality":2}]}"#,
                r#"OnEvent/function.json: bindings.0.cardinality has to be "one" or "many""#,
            ),
        ] {
            let message = function(text).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn a_function_s_name_fits_into_a_path() {
        let file = include_str!("../../../../../tests/fixtures/functions/function.eventgrid.json");
        for (name, fits) in
            [("VerifyOnUpload", true), ("a-b_c1", true), ("1a", false), ("a b", false), ("a/b", false)]
        {
            let document = Document::parse("function.json", file).unwrap();
            assert_eq!(Function::of(name, &document).is_ok(), fits, "{name}");
        }
    }
}
