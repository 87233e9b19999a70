//! The roles of the function app, for an emulator that asks for roles: those that `infra/` deploys, or others
//! from files.

use std::fs;
use std::io;
use std::path::PathBuf;

use keyholder::permissions;

use keyholder_emulator::identity::Principal;
use keyholder_emulator::rbac::{DefinitionError, Rbac, Role, Scope};

/// Why a file gives no roles.
#[derive(Debug, thiserror::Error)]
pub enum RoleFileError {
    /// The file.
    #[error("the role definitions in {path} cannot be read", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What is in it.
    #[error("{path} holds no role definition", path = path.display())]
    Definition {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: DefinitionError,
    },
}

/// What `infra/` gives an app that has keys sign in the vault, and, if it may, reads secrets too.
pub fn of_infrastructure(reads_secrets: bool) -> Vec<Role> {
    let for_secrets: &[&str] = if reads_secrets { permissions::DATA_ACTIONS_TO_READ_SECRETS } else { &[] };
    let data_actions = permissions::DATA_ACTIONS.iter().chain(for_secrets).copied();
    vec![
        Role::new("Keyholder registry", permissions::ACTIONS.iter().copied(), []),
        Role::new("Keyholder vault", [], data_actions),
    ]
}

/// Every role definition in these files; see [`Role::parse`].
pub fn from_files(paths: &[PathBuf]) -> Result<Vec<Role>, RoleFileError> {
    let mut roles = Vec::new();
    for path in paths {
        let text =
            fs::read_to_string(path).map_err(|source| RoleFileError::Read { path: path.clone(), source })?;
        let found =
            Role::parse(&text).map_err(|source| RoleFileError::Definition { path: path.clone(), source })?;
        roles.extend(found);
    }
    Ok(roles)
}

/// The function app has these roles, everywhere, and no other rights.
pub fn rbac(roles: impl IntoIterator<Item = Role>) -> Rbac {
    let mut rbac = Rbac::on();
    for role in roles {
        rbac.assign(&Principal::function_app(), role, Scope::everywhere());
    }
    rbac
}
