//! Which functions of an app run with these app settings, and which of them have a timer.
//!
//! A function whose schedule cannot be read costs only itself, as in the live host: the others run.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::error::FunctionError;
use super::function::{Function, TimerTrigger, Trigger};
use super::timer::Timer;

/// An app's functions, ready to run.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) functions: Vec<Function>,
    /// By function; none of a disabled one is missing, because it can still be asked for.
    pub(super) timers: BTreeMap<String, Timer>,
    pub(super) failures: Vec<FunctionError>,
}

/// Loads functions at this moment, reading app settings.
pub(super) fn load(
    functions: &[Function],
    setting: impl Fn(&str) -> Option<String>,
    now: OffsetDateTime,
) -> Loaded {
    let mut loaded = Loaded { functions: Vec::new(), timers: BTreeMap::new(), failures: Vec::new() };
    for function in functions {
        let mut function = function.clone();
        if is_switched_off(function.name(), &setting) {
            function.disable();
        }
        if let Trigger::Timer(trigger) = function.trigger() {
            match timer(function.name(), trigger, &setting, now) {
                Ok(timer) => loaded.timers.insert(function.name().to_owned(), timer),
                Err(failure) => {
                    loaded.failures.push(failure);
                    continue;
                }
            };
        }
        loaded.functions.push(function);
    }
    loaded
}

/// `AzureWebJobs.<FUNCTION>.Disabled`, with underscores where a variable's name cannot have dots.
fn is_switched_off(function: &str, setting: impl Fn(&str) -> Option<String>) -> bool {
    let names = [format!("AzureWebJobs.{function}.Disabled"), format!("AzureWebJobs__{function}__Disabled")];
    let is_on = |value: String| value == "1" || value.eq_ignore_ascii_case("true");
    names.iter().filter_map(|name| setting(name)).any(is_on)
}

fn timer(
    function: &str,
    trigger: &TimerTrigger,
    setting: impl Fn(&str) -> Option<String>,
    now: OffsetDateTime,
) -> Result<Timer, FunctionError> {
    let schedule = resolve(&trigger.schedule, setting).map_err(|setting| {
        FunctionError::UnresolvedSetting { function: function.to_owned(), setting: setting.to_owned() }
    })?;
    match schedule.parse() {
        Ok(parsed) => Ok(Timer::start(trigger, parsed, now)),
        Err(source) => Err(FunctionError::Schedule { function: function.to_owned(), schedule, source }),
    }
}

/// Puts app settings in place of their names in percent signs; an error is the name of one that is not set,
/// or is empty.
fn resolve(text: &str, setting: impl Fn(&str) -> Option<String>) -> Result<String, &str> {
    let mut resolved = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%')
        && let Some((name, after)) = after.split_once('%')
    {
        resolved += before;
        resolved += &setting(name).filter(|value| !value.is_empty()).ok_or(name)?;
        rest = after;
    }
    Ok(resolved + rest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use time::macros::datetime;

    use super::super::document::Document;
    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-05 10:00 UTC);

    fn functions(schedule: &str) -> Vec<Function> {
        let timer =
            format!(r#"{{"bindings":[{{"type":"timerTrigger","name":"t","schedule":"{schedule}"}}]}}"#);
        let event = include_str!("../../../../../tests/fixtures/functions/function.eventgrid.json");
        [("OnEvent", event), ("Sweep", &timer)]
            .map(|(name, text)| Function::of(name, &Document::parse(name, text).unwrap()).unwrap())
            .to_vec()
    }

    fn load_with(schedule: &str, settings: &[(&str, &str)]) -> Loaded {
        let set = |name: &str| {
            settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        load(&functions(schedule), set, NOW)
    }

    #[test]
    fn a_schedule_may_be_in_app_settings_in_whole_or_in_part() {
        let settings = [("WHEN", "0 */15 * * * *"), ("MINUTE", "*/15")];
        for schedule in ["0 */15 * * * *", "%WHEN%", "0 %MINUTE% * * * *"] {
            let loaded = load_with(schedule, &settings);
            assert_eq!(loaded.failures, [], "{schedule}");
            assert_eq!(loaded.timers["Sweep"].due(), Some(datetime!(2026-03-05 10:15 UTC)), "{schedule}");
        }
    }

    #[test]
    fn a_function_whose_schedule_cannot_be_read_costs_only_itself() {
        for (schedule, settings, expected) in [
            (
                "%WHEN%",
                vec![],
                "Functions.Sweep is not run: its schedule is in the app setting WHEN, which is not",
            ),
            (
                "%WHEN%",
                vec![("WHEN", "")],
                "Functions.Sweep is not run: its schedule is in the app setting WHEN",
            ),
            (
                "%WHEN%",
                vec![("WHEN", "hourly")],
                "Functions.Sweep is not run: its schedule is \"hourly\", and it has 1 fields",
            ),
            ("50%", vec![], "Functions.Sweep is not run: its schedule is \"50%\", and it has 1 fields"),
        ] {
            let loaded = load_with(schedule, &settings);
            let failures: Vec<_> = loaded.failures.iter().map(ToString::to_string).collect();
            assert!(failures.len() == 1 && failures[0].starts_with(expected), "{failures:?}");
            assert_eq!(loaded.functions.iter().map(Function::name).collect::<Vec<_>>(), ["OnEvent"]);
            assert!(loaded.timers.is_empty());
        }
    }

    #[test]
    fn a_function_can_be_disabled_by_an_app_setting_of_either_form() {
        for (name, value, disabled) in [
            ("AzureWebJobs.Sweep.Disabled", "true", true),
            ("AzureWebJobs.Sweep.Disabled", "1", true),
            ("AzureWebJobs__Sweep__Disabled", "True", true),
            ("AzureWebJobs.Sweep.Disabled", "false", false),
            ("AzureWebJobs.Other.Disabled", "true", false),
        ] {
            let loaded = load_with("0 */15 * * * *", &[(name, value)]);
            let states: Vec<_> = loaded.functions.iter().map(Function::is_disabled).collect();
            assert_eq!(states, [false, disabled], "{name}={value}");
            assert_eq!(loaded.timers.len(), 1, "it can still be asked for");
        }
    }
}
