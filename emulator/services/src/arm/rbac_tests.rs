//! Roles in front of DPS: each call asks for its own right, and a refusal names what is missing and where.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use crate::access::rbac::{Rbac, Role, Scope};
use crate::dps::testing::{Answer, Ca, Client, instance};
use crate::identity::{CLIENT_ID, OBJECT_ID, Principal};
use crate::names::{RESOURCE_GROUP, SUBSCRIPTION};

const DPS: &str = "Microsoft.Devices/provisioningServices";

/// A call, the right it asks for, and where: at the instance, or at the end of this path.
struct Row {
    method: &'static str,
    path: String,
    body: Option<Value>,
    action: String,
    scope: String,
}

fn rows(ca: &Ca) -> Vec<Row> {
    let row = |method, below: &str, body: Option<Value>, action: &str, scope: &str| Row {
        method,
        path: format!("{}{below}", instance()),
        body,
        action: format!("{DPS}/{action}"),
        scope: format!("{}{scope}", instance()),
    };
    let upload = json!({"properties": {"certificate": ca.pem()}});
    let new = "/certificates/new-ca";
    let code = "/certificates/my-ca/generateVerificationCode";
    let proof = json!({"certificate": ca.proof("A1B2C3D4E5F6G7H8").pem()});
    vec![
        row("GET", "", None, "read", ""),
        row("PUT", "", Some(json!({"location": "eastus"})), "write", ""),
        row("DELETE", "", None, "delete", ""),
        row("GET", "/certificates", None, "certificates/read", ""),
        row("GET", "/certificates/my-ca", None, "certificates/read", "/certificates/my-ca"),
        row("PUT", new, Some(upload), "certificates/write", new),
        row("DELETE", "/certificates/my-ca", None, "certificates/delete", "/certificates/my-ca"),
        row("POST", code, None, "certificates/generateVerificationCode/action", "/certificates/my-ca"),
        row(
            "POST",
            "/certificates/my-ca/verify",
            Some(proof),
            "certificates/verify/action",
            "/certificates/my-ca",
        ),
    ]
}

/// The function app with these actions, and an instance with a certificate that waits for its proof.
fn app_with(ca: &Ca, actions: &[String], scope: Scope) -> Client {
    let mut client = Client::new();
    client.put("my-ca", None, &ca.pem()).ok();
    client.world.dps.set_next_code("A1B2C3D4E5F6G7H8");
    client.generate_code("my-ca", Some("*")).ok();
    client.world.rbac = Rbac::on();
    let role = Role::new("r", actions.iter().map(String::as_str), []);
    client.world.rbac.assign(&Principal::function_app(), role, scope);
    client
}

fn assert_refused(answer: &Answer, action: &str, scope: &str) {
    let message = format!(
        "The client '{CLIENT_ID}' with object id '{OBJECT_ID}' does not have authorization to perform action \
         '{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh \
         your credentials."
    );
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert_eq!(answer.body, json!({"error": {"code": "AuthorizationFailed", "message": message}}));
}

#[test]
fn each_call_asks_for_its_own_right_and_no_other() {
    let ca = Ca::new("my-ca");
    let all: Vec<String> = rows(&ca).into_iter().map(|row| row.action).collect();
    for Row { method, path, body, action, scope } in rows(&ca) {
        let send = |actions: &[String]| {
            let mut client = app_with(&ca, actions, Scope::everywhere());
            client.send(method, &path, Some("*"), body.clone())
        };
        let answer = send(std::slice::from_ref(&action));
        assert!((200..300).contains(&answer.status), "{method} {path}: {}", answer.body);
        let others: Vec<String> = all.iter().filter(|other| **other != action).cloned().collect();
        assert_refused(&send(&others), &action, &scope);
    }
}

#[test]
fn a_refused_call_changes_nothing() {
    let ca = Ca::new("my-ca");
    let mut client = app_with(&ca, &[format!("{DPS}/*/read")], Scope::everywhere());
    let before = client.list();
    for Row { method, path, body, .. } in rows(&ca).into_iter().filter(|row| row.method != "GET") {
        assert_eq!(client.send(method, &path, Some("*"), body).status, 403, "{method} {path}");
    }
    assert_eq!(client.list(), before);
}

#[test]
fn the_operator_sets_the_scene() {
    let ca = Ca::new("my-ca");
    for Row { method, path, body, .. } in rows(&ca) {
        let mut client = app_with(&ca, &[], Scope::everywhere());
        client.principal = Principal::operator();
        let answer = client.send(method, &path, Some("*"), body);
        assert!((200..300).contains(&answer.status), "{method} {path}: {}", answer.body);
    }
}

#[test]
fn rights_are_asked_for_before_the_resource_and_after_the_api_version() {
    let ca = Ca::new("my-ca");
    let mut client = app_with(&ca, &[], Scope::everywhere());
    assert_eq!(client.get("ghost").status, 403);
    let elsewhere = instance().replace(RESOURCE_GROUP, "other-rg");
    assert_eq!(client.send("GET", &elsewhere, None, None).status, 403);
    client.version = "2019-01-01";
    assert_eq!(client.get("my-ca").status, 404);
}

#[test]
fn a_list_shows_what_the_caller_may_see_and_is_refused_to_who_may_see_nothing() {
    let ca = Ca::new("my-ca");
    let subscription = format!("/subscriptions/{SUBSCRIPTION}");
    let group = format!("{subscription}/resourceGroups/{RESOURCE_GROUP}");
    let (of_group, of_all) = (format!("{group}/providers/{DPS}"), format!("{subscription}/providers/{DPS}"));
    let read = format!("{DPS}/read");

    let mut client = app_with(&ca, std::slice::from_ref(&read), Scope::at(&instance()));
    client.world.add_provisioning_service(SUBSCRIPTION, RESOURCE_GROUP, "another-dps");
    client.world.add_provisioning_service("another", "rg", "dps");
    let mut names = |path: &str| -> Vec<String> {
        let body = client.send("GET", path, None, None).ok().body;
        let items = body["value"].as_array().unwrap().iter();
        items.map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&of_group), [instance()]);
    assert_eq!(names(&of_all), [instance()]);
    assert_eq!(names("/subscriptions"), [subscription.as_str()]);
    let groups = client.send("GET", &format!("{subscription}/resourceGroups"), None, None);
    assert_refused(&groups, "Microsoft.Resources/subscriptions/resourceGroups/read", &subscription);

    let mut client = app_with(&ca, &[], Scope::everywhere());
    assert_refused(&client.send("GET", &of_group, None, None), &read, &group);
    assert_refused(&client.send("GET", &of_all, None, None), &read, &subscription);
    client.world.rbac = Rbac::on();
    assert_eq!(client.send("GET", "/subscriptions", None, None).ok().body["value"], json!([]));
}
