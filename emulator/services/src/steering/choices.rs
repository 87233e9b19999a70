//! What the emulator does where the service is known to do one of two things, or nobody knows how long.
//!
//! Each choice has a name and values, which `emulator up --choose NAME=VALUE` takes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ground::stored;

/// The choices, each at first as the module documentation of its service says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
#[non_exhaustive]
pub struct Choices {
    /// `delete-of-nothing`: how the deletion of a certificate that is not there is answered.
    pub delete_of_nothing: DeleteOfNothing,
    /// `unreadable-certificate`: how an upload is answered that holds no certificate.
    pub unreadable_certificate: UnreadableCertificate,
    /// `created`: what a certificate says of its creation.
    pub created: Created,
    /// `provisioning`: how long it takes to create, change or delete a DPS instance, by the emulator's clock.
    pub provisioning: Duration,
}

/// How the deletion of what is not there is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeleteOfNothing {
    /// 204, as specified and never seen.
    NoContent,
    /// 404, as for every other operation.
    NotFound,
}

/// How an upload is answered that holds no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnreadableCertificate {
    /// 500, as quoted by users. A client that retries every 500 never ends.
    InternalError,
    /// 400, as documentation has it.
    BadRequest,
}

/// What a certificate says of its creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Created {
    /// The year 1, as every recording since December 2021.
    YearOne,
    /// When it was first uploaded, as recordings before.
    Truth,
}

/// Why a text is no choice, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// No such name.
    #[error("there is no choice {0:?}; choose one of {list}", list = NAMES.join(", "))]
    Name(String),
    /// No such value.
    #[error("{name} cannot be {value:?}; it is {possible}")]
    Value {
        /// Of what.
        name: &'static str,
        /// What was asked for.
        value: String,
        /// What would be right.
        possible: &'static str,
    },
}

const NAMES: [&str; 4] = ["delete-of-nothing", "unreadable-certificate", "created", "provisioning"];

/// Nothing takes longer than that.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

stored::checked!(Choices);

impl Default for Choices {
    fn default() -> Choices {
        Choices {
            delete_of_nothing: DeleteOfNothing::NoContent,
            unreadable_certificate: UnreadableCertificate::InternalError,
            created: Created::YearOne,
            provisioning: Duration::ZERO,
        }
    }
}

impl Choices {
    fn check_stored(&self) -> Result<(), &'static str> {
        if self.provisioning <= LONGEST { Ok(()) } else { Err("an instance that takes longer than a year") }
    }

    /// Takes a choice, written as `name=value`.
    pub fn choose(&mut self, choice: &str) -> Result<(), ChoiceError> {
        let (name, value) = choice.split_once('=').unwrap_or((choice, ""));
        let wrong = |name, possible| ChoiceError::Value { name, value: value.to_owned(), possible };
        match name {
            "delete-of-nothing" => {
                self.delete_of_nothing = match value {
                    "204" => DeleteOfNothing::NoContent,
                    "404" => DeleteOfNothing::NotFound,
                    _ => return Err(wrong("delete-of-nothing", "204 or 404")),
                }
            }
            "unreadable-certificate" => {
                self.unreadable_certificate = match value {
                    "500" => UnreadableCertificate::InternalError,
                    "400" => UnreadableCertificate::BadRequest,
                    _ => return Err(wrong("unreadable-certificate", "500 or 400")),
                }
            }
            "created" => {
                self.created = match value {
                    "year-one" => Created::YearOne,
                    "truth" => Created::Truth,
                    _ => return Err(wrong("created", "year-one or truth")),
                }
            }
            "provisioning" => {
                let seconds = value.strip_suffix('s').and_then(|seconds| seconds.parse::<u32>().ok());
                let time = seconds.map(|seconds| Duration::from_secs(seconds.into()));
                let time = time.filter(|time| *time <= LONGEST);
                let expected = "a number of seconds, as 30s, up to a year";
                self.provisioning = time.ok_or_else(|| wrong("provisioning", expected))?;
            }
            _ => return Err(ChoiceError::Name(name.to_owned())),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_a_name_and_a_value() {
        let mut choices = Choices::default();
        for choice in
            ["delete-of-nothing=404", "unreadable-certificate=400", "created=truth", "provisioning=30s"]
        {
            assert_eq!(choices.choose(choice), Ok(()), "{choice}");
        }
        let expected = Choices {
            delete_of_nothing: DeleteOfNothing::NotFound,
            unreadable_certificate: UnreadableCertificate::BadRequest,
            created: Created::Truth,
            provisioning: Duration::from_secs(30),
        };
        assert_eq!(choices, expected);
        for choice in
            ["delete-of-nothing=204", "unreadable-certificate=500", "created=year-one", "provisioning=0s"]
        {
            assert_eq!(choices.choose(choice), Ok(()), "{choice}");
        }
        assert_eq!(choices, Choices::default());
    }

    #[test]
    fn what_is_no_choice_says_what_would_be_one() {
        for (choice, hint) in [
            ("creation=truth", "choose one of delete-of-nothing"),
            ("created", "it is year-one or truth"),
            ("created=never", "it is year-one or truth"),
            ("provisioning=30", "as 30s"),
            ("delete-of-nothing=500", "it is 204 or 404"),
            ("unreadable-certificate=", "it is 500 or 400"),
        ] {
            let error = Choices::default().choose(choice).map_err(|error| error.to_string());
            assert!(error.as_ref().is_err_and(|error| error.contains(hint)), "{choice}: {error:?}");
        }
    }
}
