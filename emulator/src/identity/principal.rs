//! Who there is.

use serde::{Deserialize, Serialize};

use crate::exchange::Request;
use crate::hidden::Hidden;
use crate::identity::parameter;
use crate::stored;
use crate::world::{RESOURCE_GROUP, SUBSCRIPTION};

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

/// Everybody who can get a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Directory(Vec<Account>);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) principal: Principal,
    /// A managed identity has none.
    #[serde(with = "stored::secret_or_none")]
    pub(super) secret: Option<Hidden<String>>,
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

impl Default for Directory {
    fn default() -> Directory {
        let mut directory = Directory(Vec::new());
        directory.add(Principal::function_app(), None);
        directory.add(Principal::operator(), Some(OPERATOR_SECRET));
        directory
    }
}

impl Directory {
    /// Adds somebody, in place of whoever had the same application id.
    pub(super) fn add(&mut self, principal: Principal, secret: Option<&str>) {
        self.0.retain(|account| !account.principal.client_id.eq_ignore_ascii_case(&principal.client_id));
        self.0.push(Account { principal, secret: secret.map(|secret| Hidden(secret.to_owned())) });
    }

    pub(super) fn by_client_id(&self, client_id: &str) -> Option<&Account> {
        self.0.iter().find(|account| account.principal.client_id.eq_ignore_ascii_case(client_id))
    }

    /// The managed identity a request names, or else the one asking. `None` for one that there is not, or that is
    /// not the asker's to name: nobody but the operator speaks for the operator.
    pub(super) fn managed(&self, asker: Principal, request: &Request) -> Option<Principal> {
        let names: Vec<(Named, String)> = PARAMETERS
            .iter()
            .filter_map(|(parameter_name, named)| Some((*named, parameter(request, parameter_name)?)))
            .collect();
        if names.is_empty() {
            return Some(asker);
        }
        let is_named = |principal: &Principal| names.iter().all(|(named, id)| named.is(principal, id));
        let managed =
            self.0.iter().filter(|account| account.secret.is_none()).map(|account| &account.principal);
        managed.chain([&asker]).find(|principal| is_named(principal)).cloned()
    }
}

/// How a request names a managed identity, in either form of the endpoint.
const PARAMETERS: [(&str, Named); 5] = [
    ("client_id", Named::Client),
    ("object_id", Named::Object),
    ("principal_id", Named::Object),
    ("mi_res_id", Named::Resource),
    ("msi_res_id", Named::Resource),
];

#[derive(Clone, Copy, Debug)]
enum Named {
    Client,
    Object,
    Resource,
}

impl Named {
    fn is(self, principal: &Principal, id: &str) -> bool {
        match self {
            Named::Client => principal.client_id.eq_ignore_ascii_case(id),
            Named::Object => principal.object_id.eq_ignore_ascii_case(id),
            Named::Resource => {
                principal.resource_id.as_deref().is_some_and(|found| found.eq_ignore_ascii_case(id))
            }
        }
    }
}
