//! The three kinds of objects a vault keeps, and the words each has on the wire.

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Certificate,
    Key,
    Secret,
}

impl Kind {
    /// The kind whose live objects are under this first segment of a path.
    pub(super) fn of_collection(segment: &str) -> Option<Kind> {
        [Kind::Certificate, Kind::Key, Kind::Secret].into_iter().find(|kind| kind.collection() == segment)
    }

    /// The kind whose deleted objects are under this first segment of a path.
    pub(super) fn of_deleted_collection(segment: &str) -> Option<Kind> {
        segment.strip_prefix("deleted").and_then(Kind::of_collection)
    }

    /// Its place in paths and ids.
    pub(super) fn collection(self) -> &'static str {
        match self {
            Kind::Certificate => "certificates",
            Kind::Key => "keys",
            Kind::Secret => "secrets",
        }
    }

    /// The place of its deleted objects.
    pub(super) fn deleted_collection(self) -> &'static str {
        match self {
            Kind::Certificate => "deletedcertificates",
            Kind::Key => "deletedkeys",
            Kind::Secret => "deletedsecrets",
        }
    }

    /// What people call it.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Kind::Certificate => "certificate",
            Kind::Key => "key",
            Kind::Secret => "secret",
        }
    }

    /// The same where a sentence begins with it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Kind::Certificate => "Certificate",
            Kind::Key => "Key",
            Kind::Secret => "Secret",
        }
    }

    /// The error code of a missing one.
    pub(super) fn not_found(self) -> &'static str {
        match self {
            Kind::Certificate => "CertificateNotFound",
            Kind::Key => "KeyNotFound",
            Kind::Secret => "SecretNotFound",
        }
    }

    /// The inner error code of one that lives and dies with a certificate. Certificates themselves never do.
    pub(super) fn managed(self) -> &'static str {
        match self {
            Kind::Certificate => "CertificateManagedByKeyVault",
            Kind::Key => "KeyManagedByKeyVault",
            Kind::Secret => "SecretManagedByKeyVault",
        }
    }
}
