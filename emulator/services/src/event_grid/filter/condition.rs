//! What an advanced filter asks of one member of an event, with every operator Event Grid has.
//!
//! Where the documentation is silent, the answer is chosen: a value of another type than the operator's counts
//! as missing, and a member that is an object, or an array nobody asked to look into, passes no comparison.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use super::case::fold;

/// What a member has to be. The names, and the members they come with, are those of the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "operatorType")]
#[allow(missing_docs)] // The names say it all, and each has its row in the documentation of Event Grid.
pub enum Condition {
    NumberIn { values: Vec<Number> },
    NumberNotIn { values: Vec<Number> },
    NumberLessThan { value: Number },
    NumberLessThanOrEquals { value: Number },
    NumberGreaterThan { value: Number },
    NumberGreaterThanOrEquals { value: Number },
    NumberInRange { values: Vec<[Number; 2]> },
    NumberNotInRange { values: Vec<[Number; 2]> },
    BoolEquals { value: bool },
    StringIn { values: Vec<String> },
    StringNotIn { values: Vec<String> },
    StringContains { values: Vec<String> },
    StringNotContains { values: Vec<String> },
    StringBeginsWith { values: Vec<String> },
    StringNotBeginsWith { values: Vec<String> },
    StringEndsWith { values: Vec<String> },
    StringNotEndsWith { values: Vec<String> },
    IsNullOrUndefined {},
    IsNotNull {},
}

use Condition::*;

/// A member as a condition sees it.
enum Member<'e> {
    /// Not there, or null.
    Missing,
    /// Something to compare; of an array each item.
    Scalars(Vec<&'e Value>),
    /// Nothing to compare.
    Other,
}

impl Condition {
    /// Whether the member passes; `into_arrays` lets each item of an array be looked at.
    pub(super) fn takes(&self, member: Option<&Value>, into_arrays: bool) -> bool {
        match (self, Member::of(member, into_arrays)) {
            (IsNullOrUndefined {}, member) => matches!(member, Member::Missing),
            (IsNotNull {}, member) => !matches!(member, Member::Missing),
            (_, Member::Missing) => self.takes_missing(),
            (_, Member::Other) => false,
            (_, Member::Scalars(scalars)) if self.is_negative() => {
                scalars.iter().all(|scalar| self.meets(scalar).map_or(self.takes_missing(), |met| !met))
            }
            (_, Member::Scalars(scalars)) => scalars.iter().any(|scalar| self.meets(scalar) == Some(true)),
        }
    }

    /// How many of a subscription's values it uses up.
    pub(super) fn values(&self) -> usize {
        match self {
            NumberIn { values } | NumberNotIn { values } => values.len(),
            NumberInRange { values } | NumberNotInRange { values } => values.len(),
            IsNullOrUndefined {} | IsNotNull {} => 0,
            _ => self.texts().map_or(1, <[String]>::len),
        }
    }

    /// The strings it compares with.
    pub(super) fn texts(&self) -> Option<&[String]> {
        match self {
            StringIn { values }
            | StringNotIn { values }
            | StringContains { values }
            | StringNotContains { values }
            | StringBeginsWith { values }
            | StringNotBeginsWith { values }
            | StringEndsWith { values }
            | StringNotEndsWith { values } => Some(values),
            _ => None,
        }
    }

    /// Documented for just these two: whoever excludes values takes events that have none.
    fn takes_missing(&self) -> bool {
        matches!(self, NumberNotIn { .. } | StringNotIn { .. })
    }

    fn is_negative(&self) -> bool {
        matches!(
            self,
            NumberNotIn { .. }
                | NumberNotInRange { .. }
                | StringNotIn { .. }
                | StringNotContains { .. }
                | StringNotBeginsWith { .. }
                | StringNotEndsWith { .. }
        )
    }

    /// Whether a value is what the operator names, a "Not" in its name left out; `None` for one of another type.
    fn meets(&self, value: &Value) -> Option<bool> {
        let number = |meets: &dyn Fn(&Number) -> bool| value.as_number().map(meets);
        let text = |values: &[String], meets: fn(&str, &str) -> bool| {
            let value = fold(value.as_str()?);
            Some(values.iter().any(|wanted| meets(&value, &fold(wanted))))
        };
        let ordered = |wanted: &Number, meets: fn(Ordering) -> bool| {
            number(&|number| compare(number, wanted).is_some_and(meets))
        };
        match self {
            NumberIn { values } | NumberNotIn { values } => {
                number(&|number| values.iter().any(|wanted| compare(number, wanted) == Some(Ordering::Equal)))
            }
            NumberLessThan { value } => ordered(value, Ordering::is_lt),
            NumberLessThanOrEquals { value } => ordered(value, Ordering::is_le),
            NumberGreaterThan { value } => ordered(value, Ordering::is_gt),
            NumberGreaterThanOrEquals { value } => ordered(value, Ordering::is_ge),
            NumberInRange { values } | NumberNotInRange { values } => number(&|number| {
                values.iter().any(|[low, high]| {
                    compare(number, low).is_some_and(Ordering::is_ge)
                        && compare(number, high).is_some_and(Ordering::is_le)
                })
            }),
            BoolEquals { value: wanted } => value.as_bool().map(|value| value == *wanted),
            StringIn { values } | StringNotIn { values } => text(values, |value, wanted| value == wanted),
            StringContains { values } | StringNotContains { values } => {
                text(values, |value, wanted| value.contains(wanted))
            }
            StringBeginsWith { values } | StringNotBeginsWith { values } => {
                text(values, |value, wanted| value.starts_with(wanted))
            }
            StringEndsWith { values } | StringNotEndsWith { values } => {
                text(values, |value, wanted| value.ends_with(wanted))
            }
            IsNullOrUndefined {} | IsNotNull {} => None,
        }
    }
}

impl<'e> Member<'e> {
    fn of(member: Option<&'e Value>, into_arrays: bool) -> Member<'e> {
        let is_scalar = |value: &Value| !value.is_object() && !value.is_array();
        match member {
            None | Some(Value::Null) => Member::Missing,
            Some(Value::Array(items)) if into_arrays && items.iter().all(is_scalar) => {
                Member::Scalars(items.iter().collect())
            }
            Some(value) if is_scalar(value) => Member::Scalars(vec![value]),
            Some(_) => Member::Other,
        }
    }
}

/// Whole numbers are compared exactly, others as floating-point numbers.
fn compare(left: &Number, right: &Number) -> Option<Ordering> {
    let whole = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn condition(operator: &str, rest: Value) -> Condition {
        let mut json = rest;
        json["operatorType"] = json!(operator);
        serde_json::from_value(json).unwrap()
    }

    /// Whether each of the values passes: y or n.
    fn passes(condition: &Condition, values: &[Option<Value>], into_arrays: bool) -> String {
        values
            .iter()
            .map(|value| if condition.takes(value.as_ref(), into_arrays) { 'y' } else { 'n' })
            .collect()
    }

    #[test]
    fn numbers() {
        let values: Vec<_> = [json!(1), json!(5), json!(5.0), json!(5.5), json!(-7), json!("5"), Value::Null]
            .into_iter()
            .map(Some)
            .chain([None])
            .collect();
        for (operator, rest, expected) in [
            ("NumberIn", json!({ "values": [1, 5] }), "yyynnnnn"),
            ("NumberNotIn", json!({ "values": [1, 5] }), "nnnyyyyy"),
            ("NumberLessThan", json!({ "value": 5 }), "ynnnynnn"),
            ("NumberLessThanOrEquals", json!({ "value": 5 }), "yyynynnn"),
            ("NumberGreaterThan", json!({ "value": 5 }), "nnnynnnn"),
            ("NumberGreaterThanOrEquals", json!({ "value": 5 }), "nyyynnnn"),
            ("NumberInRange", json!({ "values": [[-10, -7], [5.1, 6]] }), "nnnyynnn"),
            ("NumberNotInRange", json!({ "values": [[-10, -7], [5.1, 6]] }), "yyynnnnn"),
        ] {
            assert_eq!(passes(&condition(operator, rest), &values, false), expected, "{operator}");
        }
    }

    #[test]
    fn numbers_that_floating_point_confuses_are_told_apart() {
        let condition = condition("NumberIn", json!({ "values": [9_007_199_254_740_993_i64] }));
        let values = [9_007_199_254_740_992_i64, 9_007_199_254_740_993].map(|number| Some(json!(number)));
        assert_eq!(passes(&condition, &values, false), "ny");
    }

    #[test]
    fn strings_whatever_their_case() {
        let values: Vec<_> = [json!("Factory-CA"), json!("factory"), json!("ÜBER-ca"), json!(""), json!(1)]
            .into_iter()
            .map(Some)
            .chain([None])
            .collect();
        for (operator, wanted, expected) in [
            ("StringIn", "FACTORY", "nynnnn"),
            ("StringNotIn", "FACTORY", "ynyyyy"),
            ("StringContains", "Y-c", "ynnnnn"),
            ("StringNotContains", "Y-c", "nyyynn"),
            ("StringBeginsWith", "über", "nnynnn"),
            ("StringNotBeginsWith", "über", "yynynn"),
            ("StringEndsWith", "-Ca", "ynynnn"),
            ("StringNotEndsWith", "-Ca", "nynynn"),
        ] {
            let condition = condition(operator, json!({ "values": ["no such", wanted] }));
            assert_eq!(passes(&condition, &values, false), expected, "{operator}");
        }
    }

    #[test]
    fn booleans_and_what_is_missing() {
        let values = [Some(json!(true)), Some(json!(false)), Some(json!("true")), Some(Value::Null), None];
        for (operator, rest, expected) in [
            ("BoolEquals", json!({ "value": true }), "ynnnn"),
            ("BoolEquals", json!({ "value": false }), "nynnn"),
            ("IsNullOrUndefined", json!({}), "nnnyy"),
            ("IsNotNull", json!({}), "yyynn"),
        ] {
            assert_eq!(passes(&condition(operator, rest), &values, false), expected, "{operator}");
        }
    }

    #[test]
    fn arrays_are_looked_into_only_when_asked_and_only_for_scalars() {
        let values =
            [json!(["a", "b"]), json!(["b"]), json!(["a", {}]), json!([]), json!({ "a": 1 })].map(Some);
        for (operator, closed, open) in [
            ("StringIn", "nnnnn", "ynnnn"),
            ("StringNotIn", "nnnnn", "nynyn"),
            ("StringContains", "nnnnn", "ynnnn"),
            ("StringNotContains", "nnnnn", "nynyn"),
            ("IsNotNull", "yyyyy", "yyyyy"),
        ] {
            let condition = condition(operator, json!({ "values": ["a"] }));
            assert_eq!(passes(&condition, &values, false), closed, "{operator}");
            assert_eq!(passes(&condition, &values, true), open, "{operator}");
        }
    }
}
