//! What a verifier would do, found out by looking alone: nothing is written, no code is asked for, no key is used.

use futures::{StreamExt, stream};
use tokio::time::Instant;

use super::Verifier;
use crate::certificate_id::{CertificateId, RegistryId};
use crate::error::CallError;
use crate::event::Upload;
use crate::outcome::{Outcome, TemporaryFailure};
use crate::registry::{Listed, ListedCertificate, Registry};
use crate::vault::{ObjectId, Vault, Wanted};
use crate::verification::{Next, Verification};

/// What registries hold, and what would become of it.
#[derive(Debug, Default)]
pub struct Survey {
    /// Their certificates, registry by registry.
    pub certificates: Vec<Surveyed>,
    /// Lists, and items of lists, that could not be read.
    pub unread: Vec<CallError>,
}

/// One certificate of a registry.
#[derive(Debug)]
pub struct Surveyed {
    /// What the list says of it.
    pub listed: ListedCertificate,
    /// What would become of one that is not.
    pub foresight: Option<Foresight>,
}

/// How far a verification would come.
#[derive(Debug)]
pub enum Foresight {
    /// A code would be asked for, and signed with this.
    Ready {
        /// The vault object of the CA.
        signed_with: ObjectId,
        /// The entry of the CA's grant that allows it.
        granted_by: String,
    },
    /// It would end before that.
    Ends(Outcome),
}

impl<R: Registry, V: Vault> Verifier<R, V> {
    /// Looks into one registry, or into all that are served.
    pub async fn survey(&self, only: Option<&RegistryId>) -> Survey {
        let mut survey = Survey::default();
        let registries = match only {
            Some(registry) => vec![registry.clone()],
            None => self.all_served(&mut survey).await,
        };
        for registry in registries {
            let listed = self.registry.certificates(&registry).await;
            let surveyed: Vec<Surveyed> = stream::iter(survey.read(listed))
                .map(|listed| async move {
                    let foresight = match listed.is_verified {
                        true => None,
                        false => Some(self.foresee(&listed.id).await),
                    };
                    Surveyed { listed, foresight }
                })
                .buffered(self.limits.at_once_in_sweep)
                .collect()
                .await;
            survey.certificates.extend(surveyed);
        }
        survey
    }

    /// Goes the way of a verification up to where it would write.
    pub async fn foresee(&self, id: &CertificateId) -> Foresight {
        let mut run = Verification::new(Upload { id: id.clone(), at: None });
        let mut next = run.begin(&self.served);
        loop {
            next = match next {
                Next::Look => match self.registry.get(id).await {
                    Ok(registered) => run.looked(registered),
                    Err(error) => run.failed(error),
                },
                Next::Search(registered) => {
                    let (name, thumbprint) = (id.name(), registered.thumbprint);
                    let wanted = Wanted { name, thumbprint, as_of: Instant::now() };
                    let glimpse = self.vault.glimpse(id.name()).await;
                    match self.vault.find(wanted, glimpse).await {
                        Ok(search) => run.searched(registered, search, (self.now)()),
                        Err(error) => run.failed(error),
                    }
                }
                Next::RequestCode(_, allowed) => {
                    return Foresight::Ready { signed_with: allowed.ca.object, granted_by: allowed.rule };
                }
                // Whoever looks can look again.
                Next::Wait { error, .. } => {
                    return Foresight::Ends(Outcome::TryAgain(TemporaryFailure::Unavailable(error)));
                }
                Next::Finish(outcome) => return Foresight::Ends(outcome),
                Next::Prove { .. } | Next::HandIn(..) => {
                    unreachable!("there is no code to prove anything for")
                }
            };
        }
    }

    async fn all_served(&self, survey: &mut Survey) -> Vec<RegistryId> {
        let mut registries: Vec<RegistryId> = Vec::new();
        for scope in self.served.scopes() {
            let listed = self.registry.registries(scope).await;
            for registry in survey.read(listed) {
                if !registries.contains(&registry) {
                    registries.push(registry);
                }
            }
        }
        registries
    }
}

impl Survey {
    fn read<T>(&mut self, listed: Result<Listed<T>, CallError>) -> Vec<T> {
        let items = listed.unwrap_or_else(|error| vec![Err(error)]);
        items.into_iter().filter_map(|item| item.map_err(|error| self.unread.push(error)).ok()).collect()
    }
}
