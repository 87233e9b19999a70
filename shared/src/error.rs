//! A call to a peer that gave nothing to go on with, shaped by what the caller should do about it.

use std::time::Duration;

use crate::reason::Reason;

/// Why a call to the registry, the vault or the identity endpoint did not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Somebody else wrote in between (412), or the object went away: look again.
    #[error("{call}: somebody else wrote in between")]
    Changed {
        /// What was tried, on which object.
        call: String,
    },
    /// The peer is busy, away or confused. The same call may work later.
    #[error("{call}: {reason}")]
    Unavailable {
        /// What was tried, on which object.
        call: String,
        /// HTTP status; none when there was no answer, or none that could be read.
        status: Option<u16>,
        /// Status and message, or what the connection did.
        reason: String,
        /// How long the peer asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// The peer understood and said no. Asking again will not change its mind.
    #[error("{call} was refused: {status} {code}: {message}")]
    Refused {
        /// What was tried, on which object.
        call: String,
        /// HTTP status.
        status: u16,
        /// What the code means for us.
        refusal: Refusal,
        /// The peer's error code, with the inner code where there is one.
        code: String,
        /// The peer's sentence.
        message: String,
        /// What a person does about it, with the command where there is one.
        remedy: Option<String>,
    },
}

impl CallError {
    /// What a person does about it, where that is known.
    pub fn remedy(&self) -> Option<&str> {
        match self {
            CallError::Refused { remedy, .. } => remedy.as_deref(),
            CallError::Changed { .. } | CallError::Unavailable { .. } => None,
        }
    }

    /// Its row in the table of outcomes, should it be what a run ends with.
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

/// What an HTTP status asks of the caller.
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
    /// The one reading of a status that is not a success, for every peer.
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

/// `Retry-After` in seconds; the date form is not used by these services.
pub fn retry_after(value: Option<&str>) -> Option<Duration> {
    value?.trim().parse().ok().map(Duration::from_secs)
}

/// A peer's text, fit for one log line of bounded length.
pub fn one_line(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() || turns_text(c) { ' ' } else { c });
    clean.take(600).collect::<String>().trim().to_owned()
}

/// Whether a character has what follows it shown in another order than it is written in.
fn turns_text(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A word that is not ours, as part of a sentence: in quotes, escaped, and no longer than an id gets.
pub fn quoted(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut letters = text.chars().flat_map(char::escape_debug);
    let shown: String = letters.by_ref().take(LONGEST).collect();
    let cut = if letters.next().is_some() { "…" } else { "" };
    format!("\"{shown}{cut}\"")
}

/// An error with its causes, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
