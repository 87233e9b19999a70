//! Who there is, as every service names them: whom a token speaks for, and why a token is refused.

use serde::{Deserialize, Serialize};

use crate::names::{RESOURCE_GROUP, SUBSCRIPTION};

/// The application id of the function app's identity.
pub const CLIENT_ID: &str = "00000000-0000-0000-0000-000000000001";
/// The object id of the function app's identity.
pub const OBJECT_ID: &str = "00000000-0000-0000-0000-000000000002";
/// The application id of the operator.
pub const OPERATOR_CLIENT_ID: &str = "00000000-0000-0000-0000-000000000003";
/// The object id of the operator.
pub const OPERATOR_OBJECT_ID: &str = "00000000-0000-0000-0000-000000000004";
/// The client secret of the operator. It is nobody's secret: all it opens is an emulator.
pub const OPERATOR_SECRET: &str = "emulator";

/// Somebody a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// The application id.
    pub client_id: String,
    /// The object id, which roles are assigned to.
    pub object_id: String,
    /// The id of the Azure resource it is, if it is one.
    pub resource_id: Option<String>,
}

/// Who sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The identity's object id.
    pub object_id: String,
    /// The identity's application id.
    pub client_id: String,
}

/// Why a request is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenProblem {
    /// There is no bearer token.
    Missing,
    /// It is no token of this tenant, or not valid yet.
    Invalid,
    /// It was good once.
    Expired,
    /// It is for another service.
    Audience,
}

impl Principal {
    /// The identity of the function app.
    pub fn function_app() -> Principal {
        let site = format!(
            "/subscriptions/{SUBSCRIPTION}/resourcegroups/{RESOURCE_GROUP}/providers/Microsoft.Web/sites/function-app"
        );
        Principal {
            client_id: CLIENT_ID.to_owned(),
            object_id: OBJECT_ID.to_owned(),
            resource_id: Some(site),
        }
    }

    /// Whoever sets the scene.
    pub fn operator() -> Principal {
        Principal {
            client_id: OPERATOR_CLIENT_ID.to_owned(),
            object_id: OPERATOR_OBJECT_ID.to_owned(),
            resource_id: None,
        }
    }
}

impl From<Principal> for Caller {
    fn from(principal: Principal) -> Caller {
        Caller { object_id: principal.object_id, client_id: principal.client_id }
    }
}
