//! Previews what a verification would do. It only reads: it asks for no code and uses no key.

use futures::{StreamExt, stream};
use tokio::time::Instant;

use super::Verifier;
use crate::certificate_id::{CertificateId, RegistryId};
use crate::error::CallError;
use crate::event::Upload;
use crate::outcome::{Outcome, TemporaryFailure};
use crate::registry::{Listed, ListedCertificate, Registry};
use crate::vault::{ObjectId, Vault, Wanted};
use crate::verification::{Next, Step, Verification};

/// The certificates of registries, each with its preview.
#[derive(Debug, Default)]
pub struct Previews {
    /// Their certificates, registry by registry.
    pub certificates: Vec<PreviewedCertificate>,
    /// Lists, and items of lists, that could not be read.
    pub unread: Vec<CallError>,
}

/// One certificate of a registry.
#[derive(Debug)]
pub struct PreviewedCertificate {
    /// What the list says of it.
    pub listed: ListedCertificate,
    /// The preview, unless the certificate is verified.
    pub preview: Option<Preview>,
}

/// What a verification would do.
#[derive(Debug)]
pub enum Preview {
    /// It would ask for a code and sign it with this CA.
    Ready {
        /// The vault object of the CA.
        signed_with: ObjectId,
        /// The entry of the CA's grant that allows it.
        granted_by: String,
    },
    /// It would end before that, with this outcome.
    Ends(Outcome),
}

impl<R: Registry, V: Vault> Verifier<R, V> {
    /// Previews the certificates of one registry, or of all allowed registries.
    pub async fn preview_all(&self, only: Option<&RegistryId>) -> Previews {
        let mut previews = Previews::default();
        let registries = match only {
            Some(registry) => vec![registry.clone()],
            None => self.all_allowed(&mut previews).await,
        };
        for registry in registries {
            let listed = self.registry.certificates(&registry).await;
            let previewed: Vec<PreviewedCertificate> = stream::iter(previews.read(listed))
                .map(|listed| async move {
                    let preview = match listed.is_verified {
                        true => None,
                        false => Some(self.preview(&listed.id).await),
                    };
                    PreviewedCertificate { listed, preview }
                })
                .buffered(self.limits.at_once_in_sweep)
                .collect()
                .await;
            previews.certificates.extend(previewed);
        }
        previews
    }

    /// Previews the verification of one certificate, up to its first write.
    pub async fn preview(&self, id: &CertificateId) -> Preview {
        let mut run = Verification::new(Upload { id: id.clone(), at: None });
        let mut next = run.begin(&self.allowed);
        loop {
            let step = match next {
                Next::Do(step) => step,
                Next::Finish(outcome) => return Preview::Ends(outcome),
            };
            next = match step {
                Step::Look => match self.registry.get(id).await {
                    Ok(registered) => run.looked(registered),
                    Err(error) => run.failed(error),
                },
                Step::Search(registered) => {
                    let (name, thumbprint) = (id.name(), registered.thumbprint);
                    let wanted = Wanted { name, thumbprint, as_of: Instant::now() };
                    let prefetched = self.vault.prefetch(id.name()).await;
                    match self.vault.find(wanted, prefetched).await {
                        Ok(search) => run.searched(registered, search, (self.now)()),
                        Err(error) => run.failed(error),
                    }
                }
                Step::RequestCode(_, granted) => {
                    return Preview::Ready { signed_with: granted.ca.object, granted_by: granted.rule };
                }
                // An operator can ask again.
                Step::Wait { error, .. } => {
                    return Preview::Ends(Outcome::TryAgain(TemporaryFailure::Unavailable(error)));
                }
                // Both follow a code, and none is asked for here.
                Step::Prove { .. } | Step::Submit(..) => {
                    let certificate = id.clone();
                    return Preview::Ends(Outcome::TryAgain(TemporaryFailure::Broken { certificate }));
                }
            };
        }
    }

    async fn all_allowed(&self, previews: &mut Previews) -> Vec<RegistryId> {
        let mut registries: Vec<RegistryId> = Vec::new();
        for scope in self.allowed.scopes() {
            let listed = self.registry.registries(scope).await;
            for registry in previews.read(listed) {
                if !registries.contains(&registry) {
                    registries.push(registry);
                }
            }
        }
        registries
    }
}

impl Previews {
    fn read<T>(&mut self, listed: Result<Listed<T>, CallError>) -> Vec<T> {
        let items = listed.unwrap_or_else(|error| vec![Err(error)]);
        items.into_iter().filter_map(|item| item.map_err(|error| self.unread.push(error)).ok()).collect()
    }
}
