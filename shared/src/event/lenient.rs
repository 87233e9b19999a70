//! Members of an event that may be of any type. What is not looked for is skipped, not kept: an event of a megabyte
//! would otherwise become a tree of many times that.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A text, or none where there is something else.
#[derive(Default)]
pub(super) struct Text(pub(super) Option<String>);

/// What matters of `data`. Without it, and where it is no object, there is nothing.
#[derive(Default)]
pub(super) struct Data {
    pub(super) operation_name: Text,
    pub(super) resource_uri: Text,
}

/// What a value of any type leads to; nothing, unless it says otherwise.
macro_rules! nothing_else {
    ($($visit:ident: $kind:ty),+) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("anything")
        }

        $(fn $visit<E>(self, _: $kind) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        })+

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    nothing_else!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text(Some(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Text, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text::default())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Text, D::Error> {
        value.deserialize_any(TextVisitor)
    }
}

struct DataVisitor;

impl<'de> Visitor<'de> for DataVisitor {
    type Value = Data;

    nothing_else!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Data, A::Error> {
        let mut data = Data::default();
        while let Some(name) = members.next_key::<Member>()? {
            match name {
                Member::Operation => data.operation_name = members.next_value()?,
                Member::Resource => data.resource_uri = members.next_value()?,
                Member::Other => _ = members.next_value::<IgnoredAny>()?,
            }
        }
        Ok(data)
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Data, D::Error> {
        value.deserialize_any(DataVisitor)
    }
}

/// The names of members of `data`.
#[derive(serde::Deserialize)]
enum Member {
    #[serde(rename = "operationName")]
    Operation,
    #[serde(rename = "resourceUri")]
    Resource,
    #[serde(other)]
    Other,
}
