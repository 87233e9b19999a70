//! Both locks as tables: what is asked for is always DPS instance `dps1` in resource group `rg` of
//! subscription `…00a`, what is tried is what an owner may have written.

use super::*;

const SUBSCRIPTION: &str = "/subscriptions/00000000-0000-0000-0000-00000000000a";

fn id(group: &str, name: &str) -> String {
    format!("{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.Devices/provisioningServices/{name}")
}

fn asked() -> RegistryId {
    RegistryId::parse(&id("rg", "dps1")).expect("well-formed")
}

fn group(name: &str) -> String {
    format!("{SUBSCRIPTION}/resourceGroups/{name}")
}

#[test]
fn the_allow_list_serves_what_is_at_or_below_an_entry_and_nothing_that_looks_like_it() {
    let elsewhere = SUBSCRIPTION.replace("00a", "00b");
    let rows = [
        ("its subscription", SUBSCRIPTION.into(), Some(SUBSCRIPTION.into())),
        ("its subscription, slash", format!("{SUBSCRIPTION}/"), Some(SUBSCRIPTION.into())),
        ("its subscription, upper case", SUBSCRIPTION.to_uppercase(), Some(SUBSCRIPTION.replace('a', "A"))),
        ("another subscription", elsewhere.clone(), None),
        ("its group", group("rg"), Some(group("rg"))),
        ("its group, slash", group("rg") + "/", Some(group("rg"))),
        ("its group, lower-case keyword", group("rg").to_lowercase(), Some(group("rg"))),
        ("its group, upper case", group("RG"), Some(group("RG"))),
        ("its group, percent-encoded", group("r%67"), Some(group("rg"))),
        ("a shorter group", group("r"), None),
        ("a longer group", group("rg-evil"), None),
        ("a longer group with a period", group("rg.x"), None),
        ("its group's namesake elsewhere", format!("{elsewhere}/resourceGroups/rg"), None),
        ("itself", id("rg", "dps1"), Some(id("rg", "dps1"))),
        ("itself, slash", id("rg", "dps1") + "/", Some(id("rg", "dps1"))),
        ("itself, other casing", id("RG", "DPS1"), Some(id("RG", "DPS1"))),
        ("itself, percent-encoded", id("rg", "dps%31"), Some(id("rg", "dps1"))),
        ("a longer name", id("rg", "dps10"), None),
        ("a shorter name", id("rg", "dps"), None),
        ("a name with a suffix", id("rg", "dps1-evil"), None),
        ("its namesake in another group", id("rg2", "dps1"), None),
        ("its namesake in another subscription", id("rg", "dps1").replace("00a", "00b"), None),
        ("the second of two", format!("{},{}", id("rg", "dps2"), id("rg", "dps1")), Some(id("rg", "dps1"))),
        ("the first that covers it", format!("{},{}", group("rg"), id("rg", "dps1")), Some(group("rg"))),
        ("twice the same", format!("{0},{0}", id("rg", "dps1")), Some(id("rg", "dps1"))),
        ("blanks around it", format!("  {}  ", id("rg", "dps1")), Some(id("rg", "dps1"))),
        ("line breaks around it", format!("\n{}\r\n", id("rg", "dps1")), Some(id("rg", "dps1"))),
        ("empty entries", format!(",,{},,", id("rg", "dps1")), Some(id("rg", "dps1"))),
        ("two others", format!("{},{}", id("rg", "dps2"), group("rg2")), None),
    ];
    for (name, list, rule) in rows {
        let registries = AllowedRegistries::parse(&list).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(registries.allowing(&asked()).map(Scope::to_string), rule, "{name}");
    }
}

#[test]
fn an_allow_list_that_says_nothing_or_nonsense_is_refused() {
    let rows = [
        ("empty", String::new()),
        ("blank", "   ".into()),
        ("commas", " , ,".into()),
        ("everything", "*".into()),
        ("a bare name", "dps1".into()),
        ("the root", "/".into()),
        ("no subscription id", "/subscriptions/".into()),
        ("any subscription", "/subscriptions/*".into()),
        ("a subscription's name", "/subscriptions/production".into()),
        ("any group", group("*")),
        ("a group with a blank", group("r g")),
        ("any instance", id("rg", "*")),
        ("a pattern", id("rg", "dps*")),
        ("another provider", id("rg", "dps1").replace("Devices", "Evil")),
        ("an IoT hub", id("rg", "dps1").replace("provisioningServices", "IotHubs")),
        ("a certificate", id("rg", "dps1") + "/certificates/root"),
        ("a provider without a resource", group("rg") + "/providers/Microsoft.Devices"),
        ("a tenant-level scope", "/providers/Microsoft.Management/managementGroups/root".into()),
        ("semicolons", format!("{};{}", id("rg", "dps1"), id("rg", "dps2"))),
        ("one good, one bad", format!("{},dps2", id("rg", "dps1"))),
        ("a URL", format!("https://management.azure.com{SUBSCRIPTION}")),
        ("parent directory", group("..") + "/x"),
    ];
    for (name, list) in rows {
        assert!(AllowedRegistries::parse(&list).is_err(), "{name}: {list:?}");
    }
}

#[test]
fn a_grant_names_registries_and_default_is_denial() {
    let rows = [
        ("no tag", None, None),
        ("empty", Some(String::new()), None),
        ("blank", Some("  ".into()), None),
        ("commas", Some(",,".into()), None),
        ("its name", Some("dps1".into()), Some("dps1")),
        ("its name, other casing", Some("DPS1".into()), Some("DPS1")),
        ("its name among blanks", Some("  dps1 ".into()), Some("dps1")),
        ("one of several", Some("dps0, dps1,dps2".into()), Some("dps1")),
        ("twice its name", Some("dps1,dps1".into()), Some("dps1")),
        ("a longer name", Some("dps10".into()), None),
        ("a shorter name", Some("dps".into()), None),
        ("a name it ends with", Some("s1".into()), None),
        ("its name with a blank inside", Some("dps 1".into()), None),
        ("its name in quotes", Some("\"dps1\"".into()), None),
        ("names parted by blanks", Some("dps0 dps1".into()), None),
        ("names parted by semicolons", Some("dps0;dps1".into()), None),
        ("everything", Some("*".into()), Some("*")),
        ("everything among others", Some("dps0,*".into()), Some("*")),
        ("a pattern", Some("dps*".into()), None),
        ("two stars", Some("**".into()), None),
        ("yes", Some("true".into()), None),
        ("a look-alike letter", Some("dрs1".into()), None),
        ("its id", Some(id("rg", "dps1")), Some("id")),
        ("its id, other casing", Some(id("RG", "DPS1").to_uppercase()), Some("id")),
        ("its id, slash", Some(id("rg", "dps1") + "/"), Some("id")),
        ("the id of its namesake", Some(id("rg2", "dps1")), None),
        ("an id one letter longer", Some(id("rg", "dps10")), None),
        ("its resource group", Some(group("rg")), None),
        ("its subscription", Some(SUBSCRIPTION.into()), None),
    ];
    for (name, tag, rule) in rows {
        let grant = Grant::new(tag.clone());
        let asked = asked();
        let allowing = grant.allowing(&asked);
        let expected = if rule == Some("id") { tag.as_deref() } else { rule };
        assert_eq!(allowing, expected, "{name}");
    }
}
