//! The api-versions of DPS and what differs between them.
//!
//! Every difference is a question asked of the version (`nests_upload`, `shows_certificate`, …), so that no
//! other file compares dates.

/// An api-version DPS answers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ApiVersion(&'static str);

/// When an answer carries the uploaded text in `properties.certificate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CertificateMember {
    /// There is no such member.
    Absent,
    /// `null`, but for the answer that carries a new verification code.
    WithNewCode,
    /// Always.
    Always,
}

impl ApiVersion {
    /// One of those [`supported`].
    pub(crate) fn new(supported: &'static str) -> ApiVersion {
        ApiVersion(supported)
    }

    /// Whether an upload is `{"properties":{…}}` rather than flat.
    pub(crate) fn nests_upload(self) -> bool {
        self.date() >= "2022-02-05"
    }

    /// Recorded: absent in 2017-11-15, `WithNewCode` in 2020-03-01 and 2021-10-15, always in
    /// 2025-02-01-preview. The versions between take after a neighbour: chosen, not observed.
    pub(crate) fn certificate_member(self) -> CertificateMember {
        let date = self.date();
        if date <= "2018-01-22" {
            CertificateMember::Absent
        } else if date <= "2021-10-15" {
            CertificateMember::WithNewCode
        } else {
            CertificateMember::Always
        }
    }

    /// Whether `subject` reads `CN=name` rather than `name`. Recorded with 2017-11-15; that the version and
    /// not the year of the recording makes the difference is chosen, not observed.
    pub(crate) fn prefixes_subject(self) -> bool {
        self.date() <= "2018-01-22"
    }

    /// Whether an instance says where its data is kept: recorded so with 2022-02-05, and not with 2021-10-15.
    pub(crate) fn shows_data_residency(self) -> bool {
        self.date() >= "2022-02-05"
    }

    fn date(self) -> &'static str {
        self.0.get(..10).expect("every supported version starts with a date")
    }
}

/// Oldest first; `strict` leaves out what was never published.
pub(super) fn supported(strict: bool) -> impl Iterator<Item = &'static str> {
    VERSIONS.iter().filter(move |(_, published)| *published || !strict).map(|(version, _)| *version)
}

/// Every version, and whether it was published: the others were only seen on branches of the specification, and
/// whether the service knows them nobody can tell.
const VERSIONS: &[(&str, bool)] = &[
    ("2017-08-21-preview", true),
    ("2017-11-15", true),
    ("2018-01-22", true),
    ("2020-01-01", true),
    ("2020-03-01", true),
    ("2020-09-01-preview", true),
    ("2020-09-01-preview.1", false),
    ("2021-02-01", false),
    ("2021-02-01-preview", false),
    ("2021-10-15", true),
    ("2022-02-05", true),
    ("2022-12-12", true),
    ("2023-03-01-preview", true),
    ("2025-02-01-preview", true),
    ("2026-03-01-preview", true),
    ("2026-04-01", false),
    ("2026-06-01-preview", true),
    ("2026-08-01", false),
    ("2026-08-31", true),
    ("2026-11-01", true),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(text: &str, strict: bool) -> Option<ApiVersion> {
        supported(strict).find(|known| *known == text).map(ApiVersion::new)
    }

    #[test]
    fn the_upload_moves_into_properties_with_2022_02_05() {
        for (version, nested) in [
            ("2017-11-15", false),
            ("2021-10-15", false),
            ("2022-02-05", true),
            ("2025-02-01-preview", true),
            ("2026-11-01", true),
        ] {
            assert_eq!(parse(version, true).unwrap().nests_upload(), nested, "{version}");
        }
    }

    #[test]
    fn the_certificate_member_comes_in_steps() {
        for (version, member) in [
            ("2017-11-15", CertificateMember::Absent),
            ("2020-03-01", CertificateMember::WithNewCode),
            ("2021-10-15", CertificateMember::WithNewCode),
            ("2022-02-05", CertificateMember::Always),
            ("2025-02-01-preview", CertificateMember::Always),
        ] {
            assert_eq!(parse(version, true).unwrap().certificate_member(), member, "{version}");
        }
    }

    #[test]
    fn knows_no_other_version() {
        for text in ["2022-02-06", "", "2022"] {
            assert_eq!(parse(text, false), None, "{text}");
        }
    }

    #[test]
    fn what_was_never_published_is_unknown_to_the_strict() {
        for version in ["2020-09-01-preview.1", "2021-02-01", "2026-08-01"] {
            assert!(parse(version, false).is_some(), "{version}");
            assert_eq!(parse(version, true), None, "{version}");
            assert!(!supported(true).any(|listed| listed == version), "{version}");
        }
    }

    #[test]
    fn every_supported_version_starts_with_a_date() {
        for (version, _) in VERSIONS {
            assert_eq!(parse(version, false).unwrap().date().len(), 10);
        }
    }
}
