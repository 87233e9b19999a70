//! What only a webhook has to be told: in Azure Functions the host knows who may call.

use url::Url;

use super::setting::Setting;
use super::{InvalidSettings, Settings};
use crate::bearer::{Expected, PUBLIC_AUTHORITY, PUBLIC_EVENT_GRID};
use crate::certificate_id;
use crate::shared_secret::SharedSecrets;

/// The settings of a webhook besides those of every front door, by name.
pub const WEBHOOK_NAMES: &[&str] =
    &[SECRET.name, SUBSCRIPTIONS.name, ENTRA.name, EVENT_GRID.name, AUTHORITY.name];

/// Who may call a webhook.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// `KEYHOLDER_WEBHOOK_SECRET`
    pub secrets: SharedSecrets,
    /// `KEYHOLDER_WEBHOOK_SUBSCRIPTIONS`
    pub subscriptions: Subscriptions,
    /// `KEYHOLDER_WEBHOOK_ENTRA`, `KEYHOLDER_WEBHOOK_EVENT_GRID_APP_ID`, `AZURE_AUTHORITY_HOST`: whose tokens Event Grid has to bring, if any.
    pub entra: Option<Expected>,
}

/// The event subscriptions that may deliver to a webhook, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriptions(Vec<String>);

const SECRET: Setting = Setting {
    name: "KEYHOLDER_WEBHOOK_SECRET",
    form: "comma-separated secrets of at least 32 letters, digits, - . _ ~, any of which admits a caller",
    example: "$(openssl rand -hex 32)",
};
const SUBSCRIPTIONS: Setting = Setting {
    name: "KEYHOLDER_WEBHOOK_SUBSCRIPTIONS",
    form: "comma-separated names of the event subscriptions that may deliver here",
    example: "verify-on-upload",
};

const ENTRA: Setting = Setting {
    name: "KEYHOLDER_WEBHOOK_ENTRA",
    form: "the tenant's id, a slash, and the id or URI of the application that Event Grid brings tokens for",
    example: "00000000-0000-0000-0000-000000000000/api://keyholder",
};
const EVENT_GRID: Setting = Setting {
    name: "KEYHOLDER_WEBHOOK_EVENT_GRID_APP_ID",
    form: "the application id of Microsoft.EventGrid in this cloud, a GUID",
    example: PUBLIC_EVENT_GRID,
};
/// The Azure SDKs read it, too.
const AUTHORITY: Setting = Setting {
    name: "AZURE_AUTHORITY_HOST",
    form: "Entra ID's address, an https URL without a path (or http on the loopback address)",
    example: PUBLIC_AUTHORITY,
};

impl Webhook {
    /// Reads them, and those of every front door, through a look-up by name.
    pub fn read(look_up: impl Fn(&str) -> Option<String>) -> Result<(Settings, Webhook), InvalidSettings> {
        match (Settings::read(&look_up), Webhook::read_alone(&look_up)) {
            (Ok(settings), Ok(webhook)) => Ok((settings, webhook)),
            (settings, webhook) => {
                Err(settings.err().unwrap_or_default().and(webhook.err().unwrap_or_default()))
            }
        }
    }

    fn read_alone(look_up: impl Fn(&str) -> Option<String>) -> Result<Webhook, InvalidSettings> {
        let look_up = super::given(&look_up);
        let mut problems = InvalidSettings::default();
        let secrets = SECRET.required(&look_up, &mut problems, |text| {
            SharedSecrets::parse(text).map_err(|error| error.to_string())
        });
        let subscriptions = SUBSCRIPTIONS.required(&look_up, &mut problems, Subscriptions::parse);
        let public = Url::parse(PUBLIC_AUTHORITY).expect("the constant is a URL");
        let authority = AUTHORITY.optional(&look_up, &mut problems, public, super::endpoint);
        let entra = ENTRA.optional(&look_up, &mut problems, None, |text| tenant_and_audience(text).map(Some));
        let event_grid =
            EVENT_GRID.optional(&look_up, &mut problems, PUBLIC_EVENT_GRID.to_owned(), application_id);
        let webhook = || {
            let (authority, event_grid) = (authority?, event_grid?);
            let entra = entra?.map(|(tenant, audience)| Expected { tenant, audience, authority, event_grid });
            Some(Webhook { secrets: secrets?, subscriptions: subscriptions?, entra })
        };
        webhook().ok_or(problems)
    }
}

impl Subscriptions {
    /// Azure's rule for names: 3 to 64 letters, digits and hyphens.
    fn parse(text: &str) -> Result<Subscriptions, String> {
        let names: Vec<&str> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        let is_name = |name: &&str| {
            (3..=64).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        match names.iter().find(|name| !is_name(name)) {
            Some(name) => Err(format!("{name:?} is no name of an event subscription")),
            None if names.is_empty() => Err("it names no event subscription".to_owned()),
            None => Ok(Subscriptions(names.into_iter().map(str::to_owned).collect())),
        }
    }

    /// Returns whether one has this name. Event Grid writes it in upper case, whatever it was created as.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Reads `<tenant>/<application>`. An application's URI has slashes of its own.
fn tenant_and_audience(text: &str) -> Result<(String, String), String> {
    let (tenant, audience) = text.split_once('/').ok_or("there is no slash in it")?;
    let tenant = certificate_id::guid(tenant).ok_or_else(|| format!("{tenant:?} is not a tenant's id"))?;
    match audience.trim() {
        "" => Err("it names no application".to_owned()),
        audience => Ok((tenant.to_owned(), audience.to_owned())),
    }
}

fn application_id(text: &str) -> Result<String, String> {
    let id = certificate_id::guid(text).ok_or_else(|| format!("{text:?} is not an application's id"))?;
    Ok(id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET_VALUE: &str = "0123456789abcdef0123456789abcdef";

    fn read(secret: &str, subscriptions: &str) -> Result<Webhook, InvalidSettings> {
        let value = |name: &str| match name {
            "KEYHOLDER_WEBHOOK_SECRET" => Some(secret.to_owned()),
            "KEYHOLDER_WEBHOOK_SUBSCRIPTIONS" => Some(subscriptions.to_owned()),
            _ => None,
        };
        Webhook::read_alone(value)
    }

    #[test]
    fn names_are_compared_without_case_and_as_a_whole() {
        let webhook = read(SECRET_VALUE, " verify-on-upload , other ").expect("well-formed");
        for (name, expected) in [("VERIFY-ON-UPLOAD", true), ("Other", true), ("verify", false), ("", false)]
        {
            assert_eq!(webhook.subscriptions.has(name), expected, "{name:?}");
        }
    }

    #[test]
    fn tokens_are_asked_for_where_a_tenant_and_an_application_are_named() {
        let read = |entra: &str, authority: &str| {
            let webhook = Webhook::read_alone(|name| {
                Some(match name {
                    "KEYHOLDER_WEBHOOK_SECRET" => SECRET_VALUE.to_owned(),
                    "KEYHOLDER_WEBHOOK_SUBSCRIPTIONS" => "verify-on-upload".to_owned(),
                    "KEYHOLDER_WEBHOOK_ENTRA" => entra.to_owned(),
                    "AZURE_AUTHORITY_HOST" => authority.to_owned(),
                    _ => return None,
                })
            });
            webhook.map(|webhook| webhook.entra).map_err(|invalid| invalid.to_string())
        };
        assert_eq!(read("", ""), Ok(None));
        let tenant = "00000000-0000-0000-0000-00000000aad0";
        for (audience, authority, host) in [
            ("api://keyholder/one", "", "login.microsoftonline.com"),
            (tenant, "https://login.microsoftonline.us", "login.microsoftonline.us"),
        ] {
            let expected =
                read(&format!("{tenant}/{audience}"), authority).expect("well-formed").expect("named");
            assert_eq!((expected.tenant.as_str(), expected.audience.as_str()), (tenant, audience));
            assert_eq!(expected.authority.host_str(), Some(host));
            assert_eq!(expected.event_grid, PUBLIC_EVENT_GRID);
        }
        for wrong in [tenant.to_owned(), format!("{tenant}/ "), "contoso.example/api://keyholder".to_owned()]
        {
            assert!(read(&wrong, "").expect_err(&wrong).contains(ENTRA.form), "{wrong}");
        }
        let plain = read(&format!("{tenant}/a"), "http://login.example").expect_err("no TLS");
        assert!(plain.contains("AZURE_AUTHORITY_HOST"), "{plain}");
    }

    #[test]
    fn the_application_of_event_grid_is_another_one_in_another_cloud() {
        let read = |event_grid: &str| {
            let webhook = Webhook::read_alone(|name| {
                Some(match name {
                    "KEYHOLDER_WEBHOOK_SECRET" => SECRET_VALUE.to_owned(),
                    "KEYHOLDER_WEBHOOK_SUBSCRIPTIONS" => "verify-on-upload".to_owned(),
                    "KEYHOLDER_WEBHOOK_ENTRA" => "00000000-0000-0000-0000-00000000aad0/api://a".to_owned(),
                    "KEYHOLDER_WEBHOOK_EVENT_GRID_APP_ID" => event_grid.to_owned(),
                    _ => return None,
                })
            });
            webhook.map(|webhook| webhook.entra.expect("named").event_grid).map_err(|error| error.to_string())
        };
        let other = "00000000-0000-0000-0000-0000000000e9";
        assert_eq!(read(&format!(" {other} ")).as_deref(), Ok(other));
        for wrong in ["Microsoft.EventGrid", "*", &other[1..]] {
            assert!(read(wrong).expect_err(wrong).contains(EVENT_GRID.form), "{wrong}");
        }
    }

    #[test]
    fn what_is_missing_or_weak_is_refused_with_its_form_and_never_repeated() {
        let rows = [
            (SECRET, "", "verify-on-upload"),
            (SECRET, ",", "verify-on-upload"),
            (SECRET, "password1", "verify-on-upload"),
            (SECRET, "a secret of thirty-two characters, password1", "verify-on-upload"),
            (SUBSCRIPTIONS, SECRET_VALUE, " "),
            (SUBSCRIPTIONS, SECRET_VALUE, ","),
            (SUBSCRIPTIONS, SECRET_VALUE, "*"),
        ];
        for (setting, secret, subscriptions) in rows {
            let error = read(secret, subscriptions).expect_err(secret).to_string();
            for expected in [setting.name, setting.form, setting.example] {
                assert!(error.contains(expected), "{secret:?} {subscriptions:?}: {error}");
            }
            assert!(!error.contains("password1"), "a secret is repeated: {error}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let error = Webhook::read(|_| None).expect_err("nothing is set").to_string();
        for name in ["KEYHOLDER_REGISTRIES", "KEYHOLDER_VAULTS", SECRET.name, SUBSCRIPTIONS.name] {
            assert!(error.contains(name), "{error}");
        }
    }
}
