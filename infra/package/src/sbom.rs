//! The bill of materials, as CycloneDX 1.5 in JSON. It has no time and no serial number, so that the same app is the
//! same bytes.

use serde_json::{Value, json};

use crate::compiler::BINARY;
use crate::linked::{Linked, Origin, Part};

/// Where it is in the zip and in the folder.
pub const SBOM: &str = "sbom.cdx.json";

/// Writes it.
pub fn document(linked: &Linked) -> Vec<u8> {
    let (own, others) = linked.parts.split_at(1.min(linked.parts.len()));
    let application = own.first().map(|part| {
        let mut component = component(part);
        component["type"] = json!("application");
        component["description"] = json!(format!("the program `{BINARY}`"));
        component
    });
    let components: Vec<Value> = others.iter().map(component).collect();
    let dependencies: Vec<Value> = linked
        .parts
        .iter()
        .map(|part| {
            let needed = linked.parts.iter().filter(|other| {
                part.needs.iter().any(|(name, version)| *name == other.name && *version == other.version)
            });
            json!({"ref": url(part), "dependsOn": needed.map(url).collect::<Vec<_>>()})
        })
        .collect();
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": application},
        "components": components,
        "dependencies": dependencies,
    });
    let mut text = format!("{document:#}").into_bytes();
    text.push(b'\n');
    text
}

fn component(part: &Part) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": url(part),
        "name": part.name,
        "version": part.version,
        "purl": url(part),
        "licenses": [{"expression": part.license}],
    });
    if part.origin == Origin::OpenSsl {
        // What its vulnerabilities are filed under.
        component["cpe"] = json!(format!("cpe:2.3:a:openssl:openssl:{}:*:*:*:*:*:*:*", part.version));
    }
    if let Some(repository) = &part.repository {
        component["externalReferences"] = json!([{"type": "vcs", "url": repository}]);
    }
    component
}

/// Its package URL.
fn url(part: &Part) -> String {
    let kind = match part.origin {
        Origin::Own | Origin::Registry => "cargo",
        Origin::OpenSsl | Origin::Rust => "generic",
    };
    format!("pkg:{kind}/{}@{}", part.name, part.version.replace('+', "%2B"))
}
