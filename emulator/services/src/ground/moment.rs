//! Moments as they are written in JSON and typed in a shell.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The schema of a moment: RFC 3339.
pub struct Moment;

/// Text that is no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no moment; 2021-10-15 and 2021-10-15T18:46:06Z are")]
pub struct InvalidMoment(String);

impl Moment {
    /// Reads RFC 3339, or a date alone for its first second.
    pub fn parse(text: &str) -> Result<OffsetDateTime, InvalidMoment> {
        let read = |text: &str| OffsetDateTime::parse(text, &Rfc3339);
        read(text).or_else(|_| read(&format!("{text}T00:00:00Z"))).map_err(|_| InvalidMoment(text.to_owned()))
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time", "description": "RFC 3339." })
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_moment_is_read_with_or_without_its_time() {
        assert_eq!(Moment::parse("2021-10-15"), Ok(datetime!(2021-10-15 00:00 UTC)));
        assert_eq!(Moment::parse("2021-10-15T20:46:06+02:00"), Ok(datetime!(2021-10-15 18:46:06 UTC)));
        for wrong in ["", "tomorrow", "2021-13-01", "2021-10-15T18:46"] {
            let refusal = Moment::parse(wrong).map_err(|error| error.to_string());
            assert!(refusal.is_err_and(|error| error.contains("2021-10-15T18:46:06Z are")), "{wrong}");
        }
    }
}
