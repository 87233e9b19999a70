//! What becomes of events nobody took: blobs in a container, under the paths and with the members they have in
//! Azure.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::name::SubscriptionName;
use crate::ground::guid::{guid, is_guid};
use crate::ground::stored;

/// From the last attempt until the blob is there.
const DELAY: Duration = Duration::minutes(5);
/// For how long Event Grid tries to write a blob.
const GIVEN_UP_AFTER: Duration = Duration::hours(4);

/// The container of a storage account that takes dead letters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterContainer {
    /// Resource id of the storage account; the emulator shows it and does not look for it.
    pub storage_account: String,
    /// The container's name, with which the paths of its blobs begin here.
    pub container: String,
}

impl DeadLetterContainer {
    /// Whether a container can have the name. It becomes a folder's.
    pub(super) fn is_allowed(&self) -> bool {
        let name = self.container.as_bytes();
        let fit = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        (3..=63).contains(&name.len()) && name.iter().all(fit)
    }
}

/// An event that was given up.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct DeadLetter {
    parts: Parts,
    /// Made of the parts, and never read from anywhere: it becomes a file's.
    path: String,
}

/// What a dead letter is made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Parts {
    container: DeadLetterContainer,
    #[serde(with = "stored::text")]
    subscription: SubscriptionName,
    id: String,
    letter: Value,
    #[serde(deserialize_with = "stored::moment")]
    due: OffsetDateTime,
}

impl TryFrom<Parts> for DeadLetter {
    type Error = &'static str;

    fn try_from(parts: Parts) -> Result<DeadLetter, Self::Error> {
        if parts.container.is_allowed() && is_guid(&parts.id) {
            Ok(DeadLetter::of(parts))
        } else {
            Err("a dead letter in no container")
        }
    }
}

impl From<DeadLetter> for Parts {
    fn from(letter: DeadLetter) -> Parts {
        letter.parts
    }
}

impl DeadLetter {
    pub(super) fn new(
        container: &DeadLetterContainer,
        subscription: &SubscriptionName,
        letter: Value,
        given_up: OffsetDateTime,
        random: &mut fastrand::Rng,
    ) -> DeadLetter {
        DeadLetter::of(Parts {
            container: container.clone(),
            subscription: subscription.clone(),
            id: guid(random),
            letter,
            due: given_up + DELAY,
        })
    }

    fn of(parts: Parts) -> DeadLetter {
        let due = parts.due.to_offset(time::UtcOffset::UTC);
        let (date, hour) = (due.date(), due.hour());
        let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
        // Without leading zeros, as documented; the hour is that of the writing (chosen, not observed).
        let path = format!(
            "{}/{}/{year}/{month}/{day}/{hour}/{}.json",
            parts.container.container,
            parts.subscription.upper_case(),
            parts.id
        );
        DeadLetter { parts, path }
    }

    /// Where the blob is: `container/SUBSCRIPTION/year/month/day/hour/guid.json`, in UTC.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The event, with the members Event Grid adds to it.
    pub fn letter(&self) -> &Value {
        &self.parts.letter
    }

    /// What the blob holds: an array of one event. Whether the service puts several into one is unknown.
    pub fn blob(&self) -> Value {
        json!([self.parts.letter])
    }

    /// When the blob is there: five minutes after the last attempt.
    pub fn due(&self) -> OffsetDateTime {
        self.parts.due
    }

    /// Until when a container that cannot be written to is tried again; then the event is lost.
    pub fn lost_at(&self) -> OffsetDateTime {
        self.parts.due + GIVEN_UP_AFTER
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_blob_is_where_azure_would_put_it_when_azure_would() {
        let container =
            DeadLetterContainer { storage_account: String::new(), container: "letters".to_owned() };
        let given_up = datetime!(2026-03-05 03:58:01 UTC);
        let name = "on-Upload".parse().unwrap();
        let mut random = fastrand::Rng::with_seed(1);
        let letter = DeadLetter::new(&container, &name, json!({ "id": "1" }), given_up, &mut random);

        let (folder, file) = letter.path().rsplit_once('/').unwrap();
        assert_eq!(folder, "letters/ON-UPLOAD/2026/3/5/4");
        let guid = file.strip_suffix(".json").unwrap();
        assert_eq!((guid.len(), guid.matches('-').count()), (36, 4));
        assert_eq!(letter.due(), datetime!(2026-03-05 04:03:01 UTC));
        assert_eq!(letter.blob(), json!([{ "id": "1" }]));
    }
}
