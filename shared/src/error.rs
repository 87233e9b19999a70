//! Errors of calls to Azure services, by what the caller should do next.

use std::time::Duration;

use crate::reason::Reason;

/// Why a call to the registry, the vault or the identity endpoint failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Someone else changed the object (412), or deleted it: look again.
    #[error("{call}: someone else changed it in the meantime")]
    Changed {
        /// What was tried, on which object.
        call: String,
    },
    /// The service is busy, unreachable or failing. The same call may work later.
    #[error("{call}: {reason}")]
    Unavailable {
        /// What was tried, on which object.
        call: String,
        /// HTTP status; none when there was no answer, or none that could be read.
        status: Option<u16>,
        /// Status and message, or what the connection did.
        reason: String,
        /// The service's `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The service refused the call. Repeating it does not help.
    #[error("{call} was refused: {status} {code}: {message}")]
    Refused {
        /// What was tried, on which object.
        call: String,
        /// HTTP status.
        status: u16,
        /// What the code means for us.
        refusal: Refusal,
        /// The service's error code, with the inner code where there is one.
        code: String,
        /// The service's message.
        message: String,
        /// The remedy, with the command where there is one.
        remedy: Option<String>,
    },
}

impl CallError {
    /// Returns the remedy, where one is known.
    pub fn remedy(&self) -> Option<&str> {
        match self {
            CallError::Refused { remedy, .. } => remedy.as_deref(),
            CallError::Changed { .. } | CallError::Unavailable { .. } => None,
        }
    }

    /// Returns the row in the table of outcomes for a run that ends with this error.
    pub fn reason(&self) -> Reason {
        match self {
            CallError::Changed { .. } => Reason::Contended,
            CallError::Unavailable { status: Some(429), .. } => Reason::Throttled,
            CallError::Unavailable { status: Some(401), .. } => Reason::TokenRefused,
            CallError::Unavailable { status: Some(_), .. } => Reason::Unavailable,
            CallError::Unavailable { status: None, .. } => Reason::Unreachable,
            CallError::Refused { refusal, .. } => match refusal {
                Refusal::Disabled => Reason::KeyDisabled,
                Refusal::OperationNotAllowed => Reason::KeyCannotSign,
                Refusal::NotValidNow => Reason::KeyNotValidNow,
                Refusal::Firewall => Reason::Firewall,
                Refusal::AccessPolicy | Refusal::Role => Reason::AccessRefused,
                Refusal::Other => Reason::Refused,
            },
        }
    }
}

/// Why a service refused a call. The adapter of each service reads it from the error code, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The key or secret is disabled.
    Disabled,
    /// The key does not allow this operation.
    OperationNotAllowed,
    /// The key has expired, or is not valid yet.
    NotValidNow,
    /// The vault's firewall blocks the app.
    Firewall,
    /// The vault's access policies give the app no permission.
    AccessPolicy,
    /// No role assignment allows the action.
    Role,
    /// Any other reason.
    Other,
}

/// What the caller should do after an HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Look again and decide again.
    LookAgain,
    /// Wait and try again.
    TryLater,
    /// Do not repeat it.
    GiveUp,
}

impl Advice {
    /// Returns the advice for a status that is not a success. It is the same for every service.
    ///
    /// 401 is worth another try: a token may have expired or been revoked in between. 409 is what ARM
    /// answers while another operation holds the resource.
    pub fn for_status(status: u16) -> Advice {
        match status {
            412 => Advice::LookAgain,
            401 | 408 | 409 | 425 | 429 | 500..=599 => Advice::TryLater,
            _ => Advice::GiveUp,
        }
    }
}

/// Reads `Retry-After` in seconds. These services do not use the date form.
pub fn retry_after(value: Option<&str>) -> Option<Duration> {
    value?.trim().parse().ok().map(Duration::from_secs)
}

/// Returns a service's text as one log line of bounded length.
pub fn one_line(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() || turns_text(c) { ' ' } else { c });
    clean.take(600).collect::<String>().trim().to_owned()
}

/// Returns whether a character changes the direction in which the text after it is shown.
fn turns_text(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns foreign text for use in a sentence: quoted, escaped, and cut to the length of the longest id.
pub fn quoted(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut letters = text.chars().flat_map(char::escape_debug);
    let shown: String = letters.by_ref().take(LONGEST).collect();
    let cut = if letters.next().is_some() { "…" } else { "" };
    format!("\"{shown}{cut}\"")
}

/// Returns an error with its causes, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
