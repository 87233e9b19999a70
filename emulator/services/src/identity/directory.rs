//! Who can get a token.

use serde::{Deserialize, Serialize};

use crate::access::callers::{OPERATOR_SECRET, Principal};
use crate::ground::exchange::Request;
use crate::ground::hidden::Hidden;
use crate::ground::stored;
use crate::identity::wire::parameter;

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
