//! A secret on its way into a vault.

use serde_json::Value;

use super::object::{Changes, to_tags};
use super::refusal::Refusal;
use crate::ground::hidden::Hidden;

/// A secret to store.
#[derive(Clone, Debug)]
pub struct NewSecret {
    pub(super) value: Hidden<String>,
    pub(super) content_type: Option<String>,
    pub(super) changes: Changes,
}

impl NewSecret {
    /// A value without a content type or tags.
    pub fn new(value: impl Into<String>) -> NewSecret {
        NewSecret { value: Hidden(value.into()), content_type: None, changes: Changes::default() }
    }

    /// What the value is, in words a vault does not interpret.
    pub fn content_type(self, content_type: impl Into<String>) -> NewSecret {
        NewSecret { content_type: Some(content_type.into()), ..self }
    }

    /// The tags of the new version.
    pub fn tags<K: Into<String>, V: Into<String>>(
        mut self,
        tags: impl IntoIterator<Item = (K, V)>,
    ) -> NewSecret {
        self.changes.tags = Some(to_tags(tags));
        self
    }

    /// The secret a request's body describes.
    pub(super) fn read(body: &Value) -> Result<NewSecret, Refusal> {
        let Some(value) = body["value"].as_str() else {
            return Err(Refusal::bad_parameter("Property 'value' is required: the text to store."));
        };
        Ok(NewSecret {
            value: Hidden(value.to_owned()),
            content_type: body["contentType"].as_str().map(str::to_owned),
            changes: Changes::read(body)?,
        })
    }
}
