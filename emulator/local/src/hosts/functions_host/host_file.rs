//! `host.json`: how the handler is started and how long it may take.

use std::time::Duration;

use super::document::{AppError, Document};
use super::program::Description;

/// The longest default of the plans a custom handler is likely to run on (Flex Consumption, Premium).
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(30 * 60);
const INITIALIZATION_TIMEOUT: Duration = Duration::from_secs(30);

/// The part of `host.json` this host heeds.
#[derive(Debug)]
pub(super) struct HostFile {
    pub(super) description: Description,
    pub(super) has_extension_bundle: bool,
    /// `None` for no limit.
    pub(super) function_timeout: Option<Duration>,
    pub(super) initialization_timeout: Duration,
    /// The port the handler has to listen on; any free one if it is not said.
    pub(super) port: Option<u16>,
}

impl HostFile {
    pub(super) fn of(document: &Document) -> Result<HostFile, AppError> {
        if document.text("version")? != Some("2.0") {
            return Err(document.wrong("version", "\"2.0\""));
        }
        if !document.objects("customHandler.http.routes")?.is_empty() {
            // The live host refuses to start with both.
            return Err(
                document.wrong("customHandler.http.routes", "empty in an app with function.json files")
            );
        }
        Ok(HostFile {
            description: description(document)?,
            has_extension_bundle: document.text("extensionBundle.id")?.is_some(),
            function_timeout: match document.text("functionTimeout")? {
                Some("-1") => None,
                Some(_) => time_span(document, "functionTimeout")?,
                None => Some(FUNCTION_TIMEOUT),
            },
            initialization_timeout: time_span(document, "customHandler.initializationTimeout")?
                .unwrap_or(INITIALIZATION_TIMEOUT),
            port: port(document)?,
        })
    }
}

fn description(document: &Document) -> Result<Description, AppError> {
    let text = |name: &str| {
        let value = document.text(&format!("customHandler.description.{name}"))?;
        Ok::<_, AppError>(value.unwrap_or_default().to_owned())
    };
    let texts = |name: &str| document.texts(&format!("customHandler.description.{name}"));
    let executable = text("defaultExecutablePath")?;
    if executable.is_empty() {
        return Err(document.wrong(
            "customHandler.description.defaultExecutablePath",
            "the handler's path in the app, or its name on PATH",
        ));
    }
    Ok(Description {
        executable,
        working_directory: text("workingDirectory")?,
        worker_directory: text("workerDirectory")?,
        arguments: texts("arguments")?,
        worker_path: text("defaultWorkerPath")?,
        worker_arguments: texts("workerArguments")?,
    })
}

fn port(document: &Document) -> Result<Option<u16>, AppError> {
    const MEMBER: &str = "customHandler.port";
    let Some(port) = document.member(MEMBER) else { return Ok(None) };
    match port.as_u64().map(u16::try_from) {
        Some(Ok(port)) if port > 0 => Ok(Some(port)),
        _ => Err(document.wrong(MEMBER, "a port, 1 to 65535")),
    }
}

fn time_span(document: &Document, member: &str) -> Result<Option<Duration>, AppError> {
    let Some(text) = document.text(member)? else { return Ok(None) };
    match parse_time_span(text) {
        Some(span) if span >= Duration::from_secs(1) => Ok(Some(span)),
        _ => Err(document.wrong(member, "a time span of at least a second, hh:mm:ss")),
    }
}

/// `hh:mm:ss`, with days before and fractions after if need be: `1.02:03:04.5`.
fn parse_time_span(text: &str) -> Option<Duration> {
    let mut parts = text.rsplitn(3, ':');
    let (seconds, minutes, hours) = (parts.next()?, parts.next()?, parts.next()?);
    let (days, hours) = hours.split_once('.').unwrap_or(("0", hours));
    let whole = |part: &str, below: u64| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse::<u64>().ok()).flatten().filter(|value| *value < below)
    };
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    // .NET counts ticks of 100 ns.
    let ticks = whole(&format!("{fraction:0<7}"), 10_000_000)?;
    // As long as .NET's longest.
    let days = whole(days, 10_675_199)?;
    let total = days * 86_400 + whole(hours, 24)? * 3_600 + whole(minutes, 60)? * 60 + whole(seconds, 60)?;
    Some(Duration::from_secs(total) + Duration::from_nanos(ticks * 100))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn host_file(change: impl FnOnce(&mut Value)) -> Result<HostFile, AppError> {
        let mut value: Value =
            serde_json::from_str(include_str!("../../../../../tests/fixtures/functions/host.json")).unwrap();
        change(&mut value);
        HostFile::of(&Document::parse("host.json", &value.to_string())?)
    }

    #[test]
    fn the_documented_example_is_understood() {
        let file = host_file(|_| {}).unwrap();
        assert_eq!(file.description.executable, "handler");
        assert_eq!(file.function_timeout, Some(Duration::from_secs(300)));
        assert_eq!(file.initialization_timeout, Duration::from_secs(30));
        assert!(file.has_extension_bundle);
        assert_eq!(file.port, None);
        assert_eq!(host_file(|file| file["customHandler"]["port"] = json!(5000)).unwrap().port, Some(5000));
    }

    #[test]
    fn what_is_wrong_is_named_by_file_and_member() {
        type Change = fn(&mut Value);
        let cases: [(Change, &str); 8] = [
            (
                |file| file["customHandler"]["port"] = json!(65536),
                "host.json: customHandler.port has to be a port",
            ),
            (|file| file["version"] = json!(2), "host.json: version has to be a string"),
            (|file| file["version"] = json!("1.0"), r#"host.json: version has to be "2.0""#),
            (
                |file| file["customHandler"] = Value::Null,
                "host.json: customHandler.description.defaultExecutablePath has to be the handler's path",
            ),
            (
                |file| file["customHandler"]["description"]["arguments"] = json!("--port 1"),
                "host.json: customHandler.description.arguments has to be an array of strings",
            ),
            (
                |file| file["customHandler"]["http"] = json!({"routes": [{"route": "x"}]}),
                "host.json: customHandler.http.routes has to be empty",
            ),
            (
                |file| file["functionTimeout"] = json!("5 minutes"),
                "host.json: functionTimeout has to be a time span",
            ),
            (
                |file| file["customHandler"]["initializationTimeout"] = json!("00:00:00"),
                "host.json: customHandler.initializationTimeout has to be a time span",
            ),
        ];
        for (change, expected) in cases {
            let message = host_file(change).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn a_function_timeout_may_be_left_out_or_off() {
        let file = host_file(|file| file["functionTimeout"] = Value::Null).unwrap();
        assert_eq!(file.function_timeout, Some(Duration::from_secs(1_800)));
        let file = host_file(|file| file["functionTimeout"] = json!("-1")).unwrap();
        assert_eq!(file.function_timeout, None);
    }

    #[test]
    fn time_spans_are_those_of_dot_net() {
        for (text, milliseconds) in [
            ("00:00:30", Some(30_000)),
            ("01:02:03", Some(3_723_000)),
            ("1.00:00:00", Some(86_400_000)),
            ("00:00:01.5", Some(1_500)),
            ("00:60:00", None),
            ("24:00:00", None),
            ("00:30", None),
            ("-00:00:30", None),
            ("+0:00:30", None),
            ("99999999999999999999.00:00:00", None),
            ("", None),
        ] {
            let expected = milliseconds.map(Duration::from_millis);
            assert_eq!(parse_time_span(text), expected, "{text}");
        }
    }
}
