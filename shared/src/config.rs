//! The app settings, parsed into types.
//!
//! They are read through a look-up rather than from the environment, so that a test can pass a map. Every
//! wrong one is reported at once, by name, with its form and an example.

mod setting;
mod webhook;

use std::ops::RangeInclusive;
use std::time::Duration;

use url::{Host, Url};

pub use setting::InvalidSettings;
pub use webhook::{Subscriptions, WEBHOOK_NAMES, Webhook};

use crate::limits::Limits;
use crate::thumbprint::Thumbprint;
use crate::trust::AllowedRegistries;
use setting::Setting;

/// ARM of the public cloud.
const PUBLIC_ARM: &str = "https://management.azure.com";

/// Every app setting that is read here, by name.
pub const NAMES: &[&str] = &[
    REGISTRIES.name,
    VAULTS.name,
    KEY_ACCESS.name,
    IDENTITY.name,
    CLIENT_ID,
    ARM_ENDPOINT.name,
    DEADLINE.name,
    AT_ONCE.name,
    VERIFIED_BY_HAND.name,
    LOG,
];

/// The app settings that are ours and read by the Functions host, for the app's triggers.
pub const NAMES_FOR_THE_HOST: &[&str] = &["KEYHOLDER_SWEEP_SCHEDULE"];

/// Everything the app can be told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `KEYHOLDER_REGISTRIES`
    pub registries: AllowedRegistries,
    /// `KEYHOLDER_VAULTS`
    pub vaults: Vec<Url>,
    /// `KEYHOLDER_KEY_ACCESS`
    pub key_access: KeyAccess,
    /// `KEYHOLDER_IDENTITY`, `AZURE_CLIENT_ID`
    pub identity: Identity,
    /// `KEYHOLDER_ARM_ENDPOINT`
    pub arm_endpoint: Url,
    /// `KEYHOLDER_DEADLINE`, `KEYHOLDER_AT_ONCE`
    pub limits: Limits,
    /// `KEYHOLDER_VERIFIED_BY_HAND`
    pub verified_by_hand: Vec<Thumbprint>,
    /// `KEYHOLDER_LOG`
    pub log: String,
}

/// What may be done with CA keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAccess {
    /// They sign in the vault and never leave it.
    SignInVault,
    /// Where there is no key in the vault to sign with, a secret that holds one may be pulled.
    ReadSecret,
}

impl KeyAccess {
    /// As the setting has it.
    pub fn name(self) -> &'static str {
        match self {
            KeyAccess::SignInVault => "sign-in-vault",
            KeyAccess::ReadSecret => "read-secret",
        }
    }
}

/// Who the app is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The identity Azure assigned to the app.
    Managed {
        /// Which one, where it is a user-assigned one.
        client_id: Option<String>,
    },
    /// A federated token in a file (Kubernetes, other clouds).
    Workload,
    /// The account that is signed in with `az` or `azd`.
    Developer,
}

const REGISTRIES: Setting = Setting {
    name: "KEYHOLDER_REGISTRIES",
    form: "comma-separated ids of the DPS instances, resource groups or subscriptions to serve",
    example: "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/iot-x509-demo-rg",
};
const VAULTS: Setting = Setting {
    name: "KEYHOLDER_VAULTS",
    form: "comma-separated https URLs of the vaults to search, in order",
    example: "https://my-vault.vault.azure.net",
};
const KEY_ACCESS: Setting = Setting {
    name: "KEYHOLDER_KEY_ACCESS",
    form: "sign-in-vault, or read-secret to also allow pulling keys out of secrets",
    example: "sign-in-vault",
};
const IDENTITY: Setting =
    Setting { name: "KEYHOLDER_IDENTITY", form: "managed, workload or developer", example: "managed" };
const ARM_ENDPOINT: Setting = Setting {
    name: "KEYHOLDER_ARM_ENDPOINT",
    form: "an https URL without a path (or http on the loopback address)",
    example: PUBLIC_ARM,
};

const DEADLINE: Setting = Setting {
    name: "KEYHOLDER_DEADLINE",
    form: "the seconds one verification may take, 1 to 29 (Event Grid waits 30)",
    example: "25",
};
const AT_ONCE: Setting = Setting {
    name: "KEYHOLDER_AT_ONCE",
    form: "how many verifications run at once, 1 to 1000",
    example: "64",
};
const VERIFIED_BY_HAND: Setting = Setting {
    name: "KEYHOLDER_VERIFIED_BY_HAND",
    form: "comma-separated thumbprints (SHA-1, 40 hexadecimal digits) of CA certificates that no vault holds and that may \
           be verified all the same",
    example: "1997B5BAC214421FCDE754AB7CEDC3F226973011",
};
const CLIENT_ID: &str = "AZURE_CLIENT_ID";
const LOG: &str = "KEYHOLDER_LOG";

impl Settings {
    /// Reads them all through a look-up by name; an empty value counts as none.
    pub fn read(look_up: impl Fn(&str) -> Option<String>) -> Result<Settings, InvalidSettings> {
        let look_up = &given(&look_up);
        let mut problems = InvalidSettings::default();
        let registries = REGISTRIES.required(look_up, &mut problems, |text| {
            AllowedRegistries::parse(text).map_err(|error| error.to_string())
        });
        let vaults = VAULTS.required(look_up, &mut problems, vault_urls);
        let key_access =
            KEY_ACCESS.optional(look_up, &mut problems, KeyAccess::SignInVault, |text| match text {
                "sign-in-vault" => Ok(KeyAccess::SignInVault),
                "read-secret" => Ok(KeyAccess::ReadSecret),
                _ => Err("it is neither of the two".to_owned()),
            });
        let managed = Identity::Managed { client_id: look_up(CLIENT_ID) };
        let identity = IDENTITY.optional(look_up, &mut problems, managed.clone(), |text| match text {
            "managed" => Ok(managed),
            "workload" => Ok(Identity::Workload),
            "developer" => Ok(Identity::Developer),
            _ => Err("it is none of the three".to_owned()),
        });
        let public = Url::parse(PUBLIC_ARM).expect("the constant is a URL");
        let arm_endpoint = ARM_ENDPOINT.optional(look_up, &mut problems, public, endpoint);
        let defaults = Limits::default();
        let deadline = DEADLINE.optional(look_up, &mut problems, defaults.deadline, |text| {
            number(text, 1..=29).map(Duration::from_secs)
        });
        let at_once = AT_ONCE.optional(look_up, &mut problems, defaults.at_once, |text| {
            number(text, 1..=1000).map(|number| usize::try_from(number).expect("at most 1000"))
        });
        let verified_by_hand = VERIFIED_BY_HAND.optional(look_up, &mut problems, Vec::new(), |text| {
            let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
            let parse = |entry| Thumbprint::parse(entry).map_err(|error| format!("{entry:?}: {error}"));
            entries.map(parse).collect()
        });
        let log = look_up(LOG).unwrap_or_else(|| "info".to_owned());

        let settings = || {
            let limits = Limits { deadline: deadline?, at_once: at_once?, ..defaults };
            Some(Settings {
                registries: registries?,
                vaults: vaults?,
                key_access: key_access?,
                identity: identity?,
                arm_endpoint: arm_endpoint?,
                limits,
                verified_by_hand: verified_by_hand?,
                log,
            })
        };
        settings().ok_or(problems)
    }
}

/// Returns a look-up with a value for a setting that is not given: what a front door takes for granted.
pub fn unless_given(
    look_up: impl Fn(&str) -> Option<String>,
    setting: &'static str,
    value: &'static str,
) -> impl Fn(&str) -> Option<String> {
    let look_up = given(look_up);
    move |name| look_up(name).or_else(|| (name == setting).then(|| value.to_owned()))
}

/// Returns a look-up for which an empty value counts as none.
fn given(look_up: impl Fn(&str) -> Option<String>) -> impl Fn(&str) -> Option<String> {
    move |name| look_up(name).filter(|value| !value.trim().is_empty())
}

/// Vault clients speak TLS only, to the vault's own name.
fn vault_urls(text: &str) -> Result<Vec<Url>, String> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let urls = entries.map(|entry| {
        let url = bare_url(entry)?;
        match (url.scheme(), url.host()) {
            ("https", Some(Host::Domain(host))) if host.contains('.') => Ok(url),
            ("https", _) => Err(format!("{entry:?} does not name a vault")),
            _ => Err(format!("{entry:?} is not https")),
        }
    });
    let urls: Vec<Url> = urls.collect::<Result<_, _>>()?;
    if urls.is_empty() { Err("it names no vault".to_owned()) } else { Ok(urls) }
}

fn endpoint(text: &str) -> Result<Url, String> {
    let url = bare_url(text)?;
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        "http" => Err(format!("{text:?} would send tokens without TLS")),
        _ => Err(format!("{text:?} is neither https nor http")),
    }
}

fn number(text: &str, range: RangeInclusive<u64>) -> Result<u64, String> {
    let number = text.parse().map_err(|_| format!("{text:?} is not a whole number"))?;
    if range.contains(&number) { Ok(number) } else { Err(format!("{number} is out of range")) }
}

fn bare_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{text:?} is not a URL ({error})"))?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if bare && url.username().is_empty() && url.password().is_none() {
        Ok(url)
    } else {
        Err("it has more than scheme, host and port".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use super::*;

    const SCOPE: &str = "/subscriptions/00000000-0000-0000-0000-000000000000";

    fn read(settings: &[(&str, &str)]) -> Result<Settings, InvalidSettings> {
        let look_up = |name: &str| {
            let found = settings.iter().rev().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Settings::read(look_up)
    }

    #[test]
    fn two_settings_are_enough_and_the_rest_has_safe_defaults() {
        let settings = read(&[
            ("KEYHOLDER_REGISTRIES", SCOPE),
            ("KEYHOLDER_VAULTS", " https://a.vault.azure.net/ , https://b.vault.azure.net"),
            ("KEYHOLDER_KEY_ACCESS", ""),
        ]);
        let settings = settings.expect("complete");
        assert_eq!(settings.key_access, KeyAccess::SignInVault);
        assert_eq!(settings.identity, Identity::Managed { client_id: None });
        assert_eq!(settings.arm_endpoint.as_str(), "https://management.azure.com/");
        assert_eq!(settings.vaults.len(), 2);
        assert_eq!((settings.limits.deadline.as_secs(), settings.limits.at_once), (25, 64));
    }

    #[test]
    fn the_list_of_names_is_what_is_looked_up() {
        let looked_up = RefCell::new(BTreeSet::new());
        let _ = Settings::read(|name| {
            looked_up.borrow_mut().insert(name.to_owned());
            None
        });
        let names = NAMES.iter().map(|name| (*name).to_owned());
        assert_eq!(looked_up.into_inner(), names.collect());
    }

    #[test]
    fn every_wrong_setting_is_named_with_its_form_and_an_example() {
        let error = read(&[("KEYHOLDER_KEY_ACCESS", "yes")]).expect_err("two missing, one wrong").to_string();
        for setting in [REGISTRIES, VAULTS, KEY_ACCESS] {
            assert!(error.contains(&format!("The app setting {} cannot be used", setting.name)), "{error}");
            assert!(error.contains(setting.form) && error.contains(setting.example), "{error}");
        }
    }

    #[test]
    fn values_that_would_weaken_something_are_refused() {
        let rows = [
            ("KEYHOLDER_REGISTRIES", "*"),
            ("KEYHOLDER_REGISTRIES", ","),
            ("KEYHOLDER_VAULTS", "http://a.vault.azure.net"),
            ("KEYHOLDER_VAULTS", "https://10.0.0.1"),
            ("KEYHOLDER_VAULTS", "https://vault"),
            ("KEYHOLDER_VAULTS", "https://a.vault.azure.net/secrets"),
            ("KEYHOLDER_VAULTS", "https://user:password@a.vault.azure.net"),
            ("KEYHOLDER_ARM_ENDPOINT", "http://management.azure.com"),
            ("KEYHOLDER_ARM_ENDPOINT", "http://localhost.evil.example"),
            ("KEYHOLDER_ARM_ENDPOINT", "ftp://localhost"),
            ("KEYHOLDER_IDENTITY", "root"),
            ("KEYHOLDER_DEADLINE", "30"),
            ("KEYHOLDER_DEADLINE", "soon"),
            ("KEYHOLDER_AT_ONCE", "0"),
            ("KEYHOLDER_VERIFIED_BY_HAND", "*"),
            ("KEYHOLDER_VERIFIED_BY_HAND", "my-ca"),
        ];
        for (name, value) in rows {
            let good = [("KEYHOLDER_REGISTRIES", SCOPE), ("KEYHOLDER_VAULTS", "https://a.vault.azure.net")];
            let settings: Vec<_> = good.into_iter().chain([(name, value)]).collect();
            let error = read(&settings).expect_err(value).to_string();
            assert!(error.contains(name), "{name}={value}: {error}");
            assert!(!error.contains("password"), "a secret is repeated: {error}");
        }
    }

    #[test]
    fn plain_http_is_for_the_loopback_address_only() {
        for value in
            ["http://127.0.0.1:8081", "http://localhost:1", "http://[::1]:1", "https://localhost:8443"]
        {
            assert!(endpoint(value).is_ok(), "{value}");
        }
    }
}
