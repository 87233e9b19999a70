//! What holds for any id, however it is written, and for any other id, however alike it looks.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::certificate_id::CertificateId;
use crate::testing::cases;

/// Letters that are, become or look like another one, and what has a meaning in a path or a list.
const LOOK_ALIKES: [char; 25] = [
    'a', 'k', 'K', '0', '-', '.', '_', '(', '%', '/', ',', ' ', '*', '\u{0}', 'é', 'É', 'ß', 'ẞ', '\u{130}',
    '\u{131}', '\u{17f}', '\u{212a}', '\u{212b}', '\u{3c2}', '\u{430}',
];

/// The parts of an id that name something.
#[derive(Clone, Debug)]
struct Parts {
    subscription: String,
    group: String,
    instance: String,
    certificate: String,
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn an_id_means_the_same_in_any_casing_and_any_encoding(parts in parts(), choices in choices()) {
        let (one, other) = (parts.certificate_id(), rewritten(&parts.certificate_id(), &choices));
        let id = CertificateId::parse(&one).expect("well-formed");
        prop_assert_eq!(CertificateId::parse(&other), Ok(id.clone()), "{}", other);
        prop_assert_eq!(CertificateId::parse(&id.path()), Ok(id.clone()));
        prop_assert_eq!(CertificateId::parse(&id.to_string()), Ok(id.clone()));

        let other = rewritten(&parts.registry_id(), &choices);
        prop_assert_eq!(&RegistryId::parse(&other).expect("well-formed"), id.registry());
    }

    #[test]
    fn every_scope_around_a_registry_serves_it_however_it_is_written(
        parts in parts(), choices in choices(), depth in 0..3_usize,
    ) {
        let registry = RegistryId::parse(&parts.registry_id()).expect("well-formed");
        let scope = [parts.subscription_id(), parts.group_id(), parts.registry_id()][depth].clone();
        let registries = AllowedRegistries::parse(&rewritten(&scope, &choices)).expect("a scope");
        prop_assert!(registries.allowing(&registry).is_some(), "{} and {}", registries, registry);
    }

    #[test]
    fn a_grant_by_name_or_id_allows_its_registry_however_it_is_written(
        parts in parts(), choices in choices(), by_name in any::<bool>(),
    ) {
        let registry = RegistryId::parse(&parts.registry_id()).expect("well-formed");
        let entry = match by_name {
            true => recased(&parts.instance, &choices),
            false => rewritten(&parts.registry_id(), &choices),
        };
        let grant = Grant::new(Some(format!("another-dps, {entry} ")));
        prop_assert_eq!(grant.allowing(&registry), Some(entry.as_str()));
    }

    #[test]
    fn a_tag_that_is_neither_a_name_nor_an_id_nor_a_star_grants_nothing(tag in "\\PC{0,40}") {
        let registry = RegistryId::parse(&id("rg", "dps1")).expect("well-formed");
        let named = tag.split(',').map(str::trim).any(|entry| entry == "*" || entry.eq_ignore_ascii_case("dps1"));
        prop_assert_eq!(Grant::new(Some(tag)).allowing(&registry).is_some(), named);
    }
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn no_other_registry_is_served_or_granted(parts in parts(), part in 0..3_usize, at in any::<Index>()) {
        let registry = RegistryId::parse(&parts.registry_id()).expect("well-formed");
        for letter in LOOK_ALIKES {
            for other in [true, false].map(|replace| parts.altered(part, at, letter, replace).registry_id()) {
                let Ok(other) = RegistryId::parse(&other) else { continue };
                let same_subscription = other.subscription().eq_ignore_ascii_case(registry.subscription());
                let same_group = other.resource_group().eq_ignore_ascii_case(registry.resource_group());
                let same_name = other.name().eq_ignore_ascii_case(registry.name());
                let same = same_subscription && same_group && same_name;

                let allows = |scope: String| AllowedRegistries::parse(&scope).expect("a scope").allowing(&other).is_some();
                prop_assert_eq!(allows(parts.subscription_id()), same_subscription, "{}", other);
                prop_assert_eq!(allows(parts.group_id()), same_subscription && same_group, "{}", other);
                prop_assert_eq!(allows(parts.registry_id()), same, "{}", other);

                let allows = |tag: &str| Grant::new(Some(tag.to_owned())).allowing(&other).is_some();
                prop_assert_eq!(allows(&parts.registry_id()), same, "{}", other);
                prop_assert_eq!(allows(&parts.instance), same_name, "{}", other);
            }
        }
    }
}

impl Parts {
    fn subscription_id(&self) -> String {
        format!("/subscriptions/{}", self.subscription)
    }

    fn group_id(&self) -> String {
        format!("{}/resourceGroups/{}", self.subscription_id(), self.group)
    }

    fn registry_id(&self) -> String {
        format!("{}/providers/Microsoft.Devices/provisioningServices/{}", self.group_id(), self.instance)
    }

    fn certificate_id(&self) -> String {
        format!("{}/certificates/{}", self.registry_id(), self.certificate)
    }

    /// One letter more in one of the parts, or another one.
    fn altered(&self, part: usize, at: Index, letter: char, replace: bool) -> Parts {
        let mut altered = self.clone();
        let part =
            [&mut altered.subscription, &mut altered.group, &mut altered.instance].into_iter().nth(part);
        let part = part.expect("one of three");
        let mut letters: Vec<char> = part.chars().collect();
        let at = at.index(letters.len());
        letters.splice(at..at + usize::from(replace), [letter]);
        *part = letters.into_iter().collect();
        altered
    }
}

fn id(group: &str, instance: &str) -> String {
    let parts = Parts {
        subscription: "00000000-0000-0000-0000-00000000000a".into(),
        group: group.into(),
        instance: instance.into(),
        certificate: "root".into(),
    };
    parts.registry_id()
}

/// Names of plain letters: what other letters may become is decided by the alterations.
fn parts() -> impl Strategy<Value = Parts> {
    let subscription = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
    let parts = (subscription, "[iks0_.()-]{1,6}[iks]", "[iks0][iks0-]{1,6}[iks]", "[iks0._-]{1,6}[iks]");
    parts.prop_map(|(subscription, group, instance, certificate)| Parts {
        subscription,
        group,
        instance,
        certificate,
    })
}

/// What is done to a letter: bit 0 changes its case, bit 1 encodes it.
fn choices() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0..4_u8, 1..200)
}

fn recased(text: &str, choices: &[u8]) -> String {
    let recase = |(letter, choice): (char, &u8)| match choice & 1 {
        0 => letter.to_ascii_lowercase(),
        _ => letter.to_ascii_uppercase(),
    };
    text.chars().zip(choices.iter().cycle()).map(recase).collect()
}

/// The same id in another writing.
fn rewritten(id: &str, choices: &[u8]) -> String {
    let recased = recased(id, choices);
    let encode = |(letter, choice): (char, &u8)| match choice & 2 {
        0 => letter.to_string(),
        _ if letter == '/' => letter.to_string(),
        _ => letter.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect(),
    };
    recased.chars().zip(choices.iter().cycle()).map(encode).collect()
}
