//! The description of the control API for programs that generate clients.
//!
//! It is made of the table of calls and of the types themselves: schemars reads the same attributes that serde
//! obeys, and its dialect of JSON Schema is the one of OpenAPI 3.1. So there is nothing to keep in step, and
//! nothing to write beside a handler, as other generators want it; a copy in `docs/` shows a change of the
//! contract in the change that makes it.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::call::{Call, Visitor};
use super::error::ErrorBody;
use super::journal::JournalQuery;
use super::paths::{CA, DESCRIPTION, STANDARD, STREAM};
use super::table::visit;
use keyholder_emulator::journal::Entry;

/// The whole document.
pub(super) fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut writer = Writer { generator: settings.into_generator(), paths: Map::new() };
    visit(&mut writer);
    writer.others();
    let Writer { mut generator, paths } = writer;
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "The control API of Keyholder's emulator",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Faults, clock, verification codes, journal and reset of an emulator that runs on this \
                machine. Requests come under the machine's own names, with the token that `emulator env` prints, from \
                no web page but the emulator's own, and changes as application/json.",
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": STANDARD }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": { "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "EMULATOR_TOKEN of `emulator env`; another at each start.",
            } },
        },
    })
}

struct Writer {
    generator: SchemaGenerator,
    paths: Map<String, Value>,
}

impl Visitor for Writer {
    fn call<C: Call>(&mut self) {
        let mut operation = json!({
            "operationId": operation_id(C::NAME),
            "summary": C::ABOUT.trim(),
        });
        let parameters = self.parameters::<C::Parameters>(C::PATH);
        if !parameters.is_empty() {
            operation["parameters"] = parameters.into();
        }
        if ["POST", "PUT", "PATCH"].contains(&C::METHOD.as_str()) {
            let schema = self.generator.subschema_for::<C::Body>();
            operation["requestBody"] =
                json!({ "required": true, "content": { "application/json": { "schema": schema } } });
        }
        let answer = self.generator.subschema_for::<C::Answer>();
        operation["responses"] = self.responses("application/json", json!(answer));
        self.add(C::PATH, C::METHOD.as_str(), operation);
    }
}

impl Writer {
    /// What is served and not in the table, because its answer is not JSON, or is this document.
    fn others(&mut self) {
        let entry = self.generator.subschema_for::<Entry>();
        let mut parameters = self.parameters::<JournalQuery>(STREAM);
        parameters.push(json!({
            "name": "Last-Event-ID",
            "in": "header",
            "description": "Goes on after the event with this id; wins over since.",
            "schema": { "type": "integer", "minimum": 0 },
        }));
        let follow = json!({
            "operationId": "followJournal",
            "summary": "The journal as it is written: server-sent events. An event named entry has an entry as its \
                data and its sequence number as its id; one named cleared says that all that was told before is of \
                a world that is gone.",
            "parameters": parameters,
            "responses": self.responses("text/event-stream", json!({
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": entry,
            })),
        });
        self.add(STREAM, "GET", follow);
        let ca = json!({
            "operationId": "getCa",
            "security": [],
            "summary": "The CA that clients of ARM and the vaults have to trust, PEM.",
            "responses": self.responses("application/x-pem-file", json!({ "type": "string" })),
        });
        self.add(CA, "GET", ca);
        let description = json!({
            "operationId": "getDescription",
            "security": [],
            "summary": "This document.",
            "responses": self.responses("application/json", json!({ "type": "object" })),
        });
        self.add(DESCRIPTION, "GET", description);
    }

    fn add(&mut self, path: &str, method: &str, operation: Value) {
        let operations = self.paths.entry(path).or_insert_with(|| json!({}));
        operations[method.to_lowercase()] = operation;
    }

    fn responses(&mut self, media_type: &str, answer: Value) -> Value {
        let refusal = self.generator.subschema_for::<ErrorBody>();
        json!({
            "200": { "description": "Done.", "content": { media_type: { "schema": answer } } },
            "default": {
                "description": "Refused; nothing has changed.",
                "content": { "application/json": { "schema": refusal } },
            },
        })
    }

    /// Each member of the type, in the path if it has a place there, else in the query.
    fn parameters<T: JsonSchema>(&mut self, path: &str) -> Vec<Value> {
        let schema = json!(T::json_schema(&mut self.generator));
        let members = schema["properties"].as_object().cloned().unwrap_or_default();
        let parameter = |(name, mut schema): (String, Value)| {
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            let place = if path.contains(&format!("{{{name}}}")) { "path" } else { "query" };
            json!({
                "name": name,
                "in": place,
                "required": place == "path",
                "description": description,
                "schema": schema,
            })
        };
        members.into_iter().map(parameter).collect()
    }
}

/// `GetFaults` is `getFaults`.
fn operation_id(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    first.to_lowercase() + rest
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use axum::body::Body;
    use tower::ServiceExt;

    use super::*;
    use crate::control::Control;
    use keyholder_emulator::{Emulator, World};

    /// Written anew by `UPDATE_EXPECT=1 cargo test -p keyholder-emulator-local openapi`.
    #[test]
    fn the_copy_in_the_docs_is_this_document() {
        let copy = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        expect_test::expect_file![copy].assert_eq(&format!("{:#}\n", document()));
    }

    /// Every value under a key with this name.
    fn found<'v>(value: &'v Value, name: &str, into: &mut Vec<&'v Value>) {
        match value {
            Value::Object(members) => {
                into.extend(members.get(name));
                members.values().for_each(|member| found(member, name, into));
            }
            Value::Array(items) => items.iter().for_each(|item| found(item, name, into)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_schema_is_referred_to() {
        let document = document();
        let mut references = Vec::new();
        found(&document, "$ref", &mut references);
        let named: BTreeSet<&str> =
            references.iter().map(|reference| reference.as_str().unwrap().trim_start_matches('#')).collect();
        for pointer in &named {
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
        let schemas = document["components"]["schemas"].as_object().unwrap().keys();
        for schema in schemas {
            assert!(named.contains(format!("/components/schemas/{schema}").as_str()), "{schema}");
        }
    }

    #[test]
    fn every_operation_and_member_is_explained() {
        let document = document();
        let mut ids = Vec::new();
        found(&document, "operationId", &mut ids);
        let unique: BTreeSet<&str> = ids.iter().map(|id| id.as_str().unwrap()).collect();
        assert_eq!(unique.len(), ids.len());
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            assert!(schema["description"].is_string(), "{name}");
            for (member, schema) in schema["properties"].as_object().into_iter().flatten() {
                assert!(schema["description"].is_string(), "{name}.{member}");
            }
        }
    }

    #[tokio::test]
    async fn whatever_is_described_is_served_and_nothing_else_at_those_paths() {
        let control = Control::of(&Emulator::new(World::tutorial(7)));
        let (routes, document) = (control.routes(), document());
        for (path, operations) in document["paths"].as_object().unwrap() {
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
                let request = http::Request::builder()
                    .method(method)
                    .uri(path.replace("{id}", "1").replace("{name}", "any"))
                    .header("authorization", format!("Bearer {}", control.token()))
                    .header("content-type", "application/json")
                    .body(Body::from("{}"))
                    .unwrap();
                let response = routes.clone().oneshot(request).await.unwrap();
                let described = operations.get(method.to_lowercase()).is_some();
                assert_eq!(response.status() != 405, described, "{method} {path}: {}", response.status());
            }
        }
    }
}
