//! What a call of the control API is, and the table they are defined in.

use http::Method;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::carry_out::Control;
use super::error::ControlError;

/// One call: the same for whoever asks and whoever answers.
pub trait Call: 'static {
    /// HTTP method.
    const METHOD: Method;
    /// Path, with the names of parameters in braces.
    const PATH: &'static str;
    /// The name of the operation.
    const NAME: &'static str;
    /// What it does.
    const ABOUT: &'static str;
    /// Parameters in the path and the query.
    type Parameters: Serialize + DeserializeOwned + JsonSchema + Send;
    /// The body of the request; [`Nothing`] for none.
    type Body: Serialize + DeserializeOwned + JsonSchema + Send;
    /// The body of the answer.
    type Answer: Serialize + DeserializeOwned + JsonSchema + Send;

    /// Does it.
    fn carry_out(
        control: &Control,
        parameters: Self::Parameters,
        body: Self::Body,
    ) -> Result<Self::Answer, ControlError>;
}

/// No parameters, or no body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Somebody who wants to know every call.
pub(super) trait Visitor {
    fn call<C: Call>(&mut self);
}

macro_rules! calls {
    ($(
        $(#[doc = $about:literal])+
        $name:ident = $method:ident $path:literal, $parameters:ty, $body:ty => $answer:ty,
        $carry_out:expr;
    )+) => {
        $(
            $(#[doc = $about])+
            #[derive(Clone, Copy, Debug)]
            pub enum $name {}

            impl Call for $name {
                const METHOD: http::Method = http::Method::$method;
                const PATH: &'static str = $path;
                const NAME: &'static str = stringify!($name);
                const ABOUT: &'static str = concat!($($about),+);
                type Parameters = $parameters;
                type Body = $body;
                type Answer = $answer;

                fn carry_out(
                    control: &Control,
                    parameters: $parameters,
                    body: $body,
                ) -> Result<$answer, ControlError> {
                    let carry_out: fn(&Control, $parameters, $body) -> Result<$answer, ControlError> = $carry_out;
                    carry_out(control, parameters, body)
                }
            }
        )+

        /// Shows every call to a visitor.
        pub(super) fn visit(visitor: &mut impl Visitor) {
            $(visitor.call::<$name>();)+
        }
    };
}

pub(super) use calls;
