//! The tables of `docs/telemetry.md` are made from the code. `UPDATE_EXPECT=1` writes them anew.

use std::fmt::Write as _;

use keyholder::telemetry::fields::{CONTEXT, EVENTS, FIELDS};
use keyholder::telemetry::metrics::METRICS;

use super::queries::PAGE;
use crate::harness::page;

#[test]
fn the_documentation_has_every_event_field_and_metric_and_no_other() {
    let mut text = PAGE.to_owned();
    for (name, table) in [("events", events()), ("fields", fields()), ("metrics", metrics())] {
        let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
        let from = text.find(&begin).expect("the page marks where it begins") + begin.len();
        let to = text.find(&end).expect("the page marks where it ends");
        text.replace_range(from..to, &table);
    }
    page::hold("docs/telemetry.md", &text);
}

#[test]
fn events_have_only_fields_that_are_explained_and_every_field_is_of_some_event() {
    for event in EVENTS {
        for name in event.fields {
            assert!(FIELDS.iter().any(|field| field.name == *name), "{}: {name}", event.name);
        }
    }
    for field in FIELDS {
        let everywhere = ["time", "level", "event", "message"].contains(&field.name);
        let used =
            CONTEXT.contains(&field.name) || EVENTS.iter().any(|event| event.fields.contains(&field.name));
        assert!(everywhere || used, "{} is of no event", field.name);
    }
}

fn events() -> String {
    let mut table = "| event | written when | fields |\n| --- | --- | --- |\n".to_owned();
    for event in EVENTS {
        let fields: Vec<String> = event.fields.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(table, "| `{}` | {} | {} |", event.name, event.meaning, fields.join(", "));
    }
    table
}

fn fields() -> String {
    let mut table = "| field | type | unit or form | meaning |\n| --- | --- | --- | --- |\n".to_owned();
    for field in FIELDS {
        let _ = writeln!(table, "| `{}` | {} | {} | {} |", field.name, field.kind, field.unit, field.meaning);
    }
    table
}

fn metrics() -> String {
    let mut table =
        "| metric | type | unit | attributes | meaning |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for metric in METRICS {
        let attributes: Vec<String> = metric.attributes.iter().map(|name| format!("`{name}`")).collect();
        let (name, kind, unit, meaning) = (metric.name, metric.kind, metric.unit, metric.meaning);
        let _ = writeln!(table, "| `{name}` | {kind} | {unit} | {} | {meaning} |", attributes.join(", "));
    }
    table
}
