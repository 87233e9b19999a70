//! What is logged, as a contract: the lines that matter by name, and every field they can have. Queries and
//! alerts stand on it, so a name that is here stays.

/// A kind of line.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// The value of `event`.
    pub name: &'static str,
    /// When it is written.
    pub meaning: &'static str,
    /// The fields it has besides those of every line; which of them are there depends on how far things went.
    pub fields: &'static [&'static str],
}

/// A field of a line.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// JSON's type.
    pub kind: &'static str,
    /// The unit or form of its value.
    pub unit: &'static str,
    /// What it says.
    pub meaning: &'static str,
}

/// The fields that every line of an invocation has, whatever the event.
pub const CONTEXT: &[&str] = &["invocationId", "traceId", "eventId", "certificateId"];

/// Every kind of line.
pub const EVENTS: &[Event] = &[
    Event {
        name: "app.ready",
        meaning: "The handler listens.",
        fields: &["address", "registries", "vaults", "keyAccess", "proxy"],
    },
    Event { name: "app.stopped", meaning: "The handler was told to stop, and has.", fields: &[] },
    Event { name: "app.failed", meaning: "The handler ends, because it cannot go on.", fields: &["reason"] },
    Event {
        name: "telemetry.off",
        meaning: "Spans and metrics were asked for and cannot be exported.",
        fields: &["reason"],
    },
    Event {
        name: "invocation.unreadable",
        meaning: "The host sent something that is no invocation. Written once a minute at most.",
        fields: &["reason", "count"],
    },
    Event {
        name: "connections.closed",
        meaning: "Connections took too long or were too many, and were closed. Written once a minute at most.",
        fields: &["reason", "count"],
    },
    Event {
        name: "connections.refused",
        meaning: "The system let the handler accept no connection. Written once a minute at most.",
        fields: &["reason", "count"],
    },
    Event {
        name: "webhook.joined",
        meaning: "An event subscription was told that it may deliver to the webhook.",
        fields: &["subscription"],
    },
    Event { name: "webhook.left", meaning: "An event subscription was deleted.", fields: &[] },
    Event {
        name: "webhook.refused",
        meaning: "A request to the webhook was turned away. Each kind is written once a minute at most.",
        fields: &["reason", "count"],
    },
    Event {
        name: "event.ignored",
        meaning: "An event is not about an uploaded certificate. One line for all of a request.",
        fields: &["reason", "count"],
    },
    Event {
        name: "event.unreadable",
        meaning: "An event claims to be about an upload and cannot be read. One line for all of a request.",
        fields: &["reason", "count"],
    },
    Event {
        name: "event.denied",
        meaning: "After 20 events of a request about registries that are not allowed, there were more of them.",
        fields: &["reason", "count"],
    },
    Event {
        name: "event.repeated",
        meaning: "More than two events of a request are about the same certificate; two have a run.",
        fields: &["reason", "count"],
    },
    Event {
        name: "event.put-off",
        meaning: "Too many uploads came at once; these events are delivered again.",
        fields: &["reason", "count"],
    },
    Event {
        name: "verification.waiting",
        meaning: "A call did not work; the run waits and looks again.",
        fields: &["attempt", "call", "reason", "pauseMs"],
    },
    Event {
        name: "signature.intended",
        meaning: "A CA key is about to sign a verification certificate. Written before every signature.",
        fields: &["thumbprint", "key", "tbsSha256"],
    },
    Event {
        name: "key.pulled",
        meaning: "The vault may not sign with the key, so it is read out of its secret.",
        fields: &["key", "reason"],
    },
    Event {
        name: "verification.ended",
        meaning: "The audit line: how a run ended. One for every run.",
        fields: &[
            "thumbprint",
            "outcome",
            "answer",
            "reason",
            "remedy",
            "attempt",
            "key",
            "allowedBy",
            "grantedBy",
            "daysToExpiry",
            "lookMs",
            "searchMs",
            "codeMs",
            "signMs",
            "submitMs",
            "waitMs",
            "durationMs",
        ],
    },
    Event {
        name: "verification.shared",
        meaning: "A delivery met another one of the same certificate, and shares its run.",
        fields: &["outcome", "answer"],
    },
    Event {
        name: "verification.broke",
        meaning: "A defect of this program ended a run; the event is delivered again.",
        fields: &["outcome", "answer"],
    },
    Event {
        name: "ca.expiring",
        meaning: "A CA in a registry has come within 30, 14 or 3 days of its end. Written by the sweep, once each.",
        fields: &["thumbprint", "daysToExpiry", "threshold"],
    },
    Event {
        name: "sweep.ended",
        meaning: "What a sweep found and did.",
        fields: &[
            "registries",
            "found",
            "verifiedBefore",
            "verified",
            "denied",
            "failed",
            "expiring",
            "unproven",
            "left",
            "reason",
            "durationMs",
        ],
    },
    Event {
        name: "sweep.unproven",
        meaning: "Certificates are verified, and neither a proof by this app nor a granted CA in a vault accounts for them. One for every sweep that finds any.",
        fields: &["unproven", "certificates", "reason", "remedy"],
    },
    Event {
        name: "log",
        meaning: "Anything else: a library's line, or one for debugging. Its fields stand in the message.",
        fields: &["target"],
    },
];

/// Every field, in the order of the documentation.
pub const FIELDS: &[Field] = &[
    field("time", "string", "RFC 3339, UTC", "When the line was written."),
    field(
        "level",
        "string",
        "info, warn, error",
        "How bad it is. Errors go to stderr, everything else to stdout.",
    ),
    field("event", "string", "a name of the table above", "What kind of line it is."),
    field("message", "string", "a sentence", "The same for people."),
    field("invocationId", "string", "GUID", "The Functions host's id of the invocation."),
    field(
        "traceId",
        "string",
        "32 hex digits",
        "The trace of the invocation (W3C); as a GUID it is the x-ms-client-request-id of every call to Azure.",
    ),
    field("eventId", "string", "as sent", "Event Grid's id of the event."),
    field("certificateId", "string", "ARM id", "The certificate in its registry."),
    field("thumbprint", "string", "SHA-1, 40 hex digits", "Of the CA certificate."),
    field("outcome", "string", "a name of the table of outcomes", "How the run ended."),
    field("answer", "string", "done, needs-action, retry", "What the host was told then."),
    field("reason", "string", "a sentence", "Why. Where the line stands for several, of the first of them."),
    field("count", "number", "count, from 1", "How many the line stands for."),
    field("remedy", "string", "a command or a sentence", "What a person does about it."),
    field(
        "attempt",
        "number",
        "count, from 1",
        "How often the run has looked at the certificate; more than 1 after a temporary failure or a concurrent write.",
    ),
    field("call", "string", "look, search, code, sign, submit", "The step that did not work."),
    field("pauseMs", "number", "ms", "How long the run waits."),
    field(
        "key",
        "string",
        "kind vault/name/version",
        "The vault object whose key signs, or that the key is read from.",
    ),
    field("tbsSha256", "string", "SHA-256, 64 hex digits", "Of the bytes to be signed."),
    field("allowedBy", "string", "ARM id", "The entry of KEYHOLDER_REGISTRIES that covers the registry."),
    field("grantedBy", "string", "an entry of the tag", "The entry of the CA's grant that allowed it."),
    field("daysToExpiry", "number", "days, negative when past", "From now to the end of the CA's validity."),
    field("threshold", "number", "days", "The limit that was crossed."),
    field(
        "lookMs",
        "number",
        "ms",
        "Time spent reading the certificate in the registry, all looks together.",
    ),
    field("searchMs", "number", "ms", "Time spent finding the CA in the vaults."),
    field("codeMs", "number", "ms", "Time spent asking for verification codes."),
    field("signMs", "number", "ms", "Time spent building, signing and checking verification certificates."),
    field("submitMs", "number", "ms", "Time spent submitting them."),
    field("waitMs", "number", "ms", "Time spent in pauses."),
    field("durationMs", "number", "ms", "The whole, waiting for a turn included."),
    field(
        "registries",
        "string or number",
        "ids, or a count",
        "The allowed registries (app.ready), or the number looked into (sweep.ended).",
    ),
    field("found", "number", "count", "Certificates in them."),
    field("verifiedBefore", "number", "count", "Of those, verified before the sweep."),
    field("verified", "number", "count", "Verified by the sweep, or meanwhile."),
    field("denied", "number", "count", "Denied by one of the two locks."),
    field("failed", "number", "count", "Ended otherwise."),
    field("expiring", "number", "count", "CAs that end within 30 days, or have ended."),
    field("unproven", "number", "count", "Verified certificates that nothing accounts for."),
    field(
        "certificates",
        "string",
        "ARM ids, separated by a comma and a blank",
        "Which, the first 50 of them.",
    ),
    field("left", "number", "count", "Certificates there was no time for, or that could not be looked for."),
    field("address", "string", "address:port", "Where the handler listens."),
    field("vaults", "string", "URLs", "The vaults searched."),
    field("subscription", "string", "as Event Grid has it", "The name of an event subscription."),
    field(
        "target",
        "string",
        "a module of the program",
        "Who writes a line that is none of the named events.",
    ),
    field("keyAccess", "string", "sign-in-vault, read-secret", "What may be done with CA keys."),
    field(
        "proxy",
        "string",
        "a URL and hosts, or none",
        "The proxy on the way to Azure, without credentials, and the hosts it is used for.",
    ),
];

const fn field(name: &'static str, kind: &'static str, unit: &'static str, meaning: &'static str) -> Field {
    Field { name, kind, unit, meaning }
}

/// The fields every line has.
pub const EVERYWHERE: &[&str] = &["time", "level", "event", "message"];

/// Returns whether a line of this event may have this field.
pub fn is_documented(event: &str, name: &str) -> bool {
    let of_event = EVENTS.iter().find(|known| known.name == event);
    of_event.is_some_and(|event| {
        EVERYWHERE.contains(&name) || CONTEXT.contains(&name) || event.fields.contains(&name)
    })
}
