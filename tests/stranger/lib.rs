//! A test of a program that proves possession of a CA, as its author would write it: the program speaks HTTP, and DPS
//! answers behind `wiremock`. It depends on the emulator and on what the emulator brings anyway, so that
//! `cargo test --package keyholder-stranger` shows what that costs.

#![cfg(test)]
#![allow(clippy::unwrap_used)] // a panic is how a test fails

use keyholder_emulator::authority::Authority;
use keyholder_emulator::faults::{Calls, Effect, Fault};
use keyholder_emulator::names::{PROVISIONING_SERVICE, RESOURCE_GROUP, SUBSCRIPTION};
use keyholder_emulator::operation::Operation;
use keyholder_emulator::{Emulator, World, mock};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wiremock::MockServer;

/// A program that talks to DPS.
struct Program {
    server: MockServer,
    token: String,
}

impl Program {
    async fn start(emulator: &Emulator) -> Program {
        let server = MockServer::start().await;
        mock::mount(emulator, &server).await;
        let mut program = Program { server, token: String::new() };
        let path = "/msi/token?api-version=2019-08-01&resource=https://management.azure.com/";
        let (_, answer) = program.send("GET", path, "x-identity-header: any\r\n", &Value::Null).await;
        program.token = answer["access_token"].as_str().unwrap().to_owned();
        program
    }

    /// Asks for something about the certificate `ca`, with the etag of the answer before.
    async fn ask(&self, method: &str, below: &str, last: &Value, body: Value) -> (u16, Value) {
        let path = format!(
            "/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.Devices\
             /provisioningServices/{PROVISIONING_SERVICE}/certificates/ca{below}?api-version=2022-12-12"
        );
        let mut headers = format!("authorization: Bearer {}\r\n", self.token);
        if let Some(etag) = last["etag"].as_str() {
            headers.push_str(&format!("if-match: {etag}\r\n"));
        }
        self.send(method, &path, &headers, &body).await
    }

    async fn send(&self, method: &str, path: &str, headers: &str, body: &Value) -> (u16, Value) {
        let address = self.server.address();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_default())
    }
}

#[tokio::test]
async fn an_uploaded_ca_is_verified_with_a_proof_of_its_key() {
    let emulator = Emulator::new(World::tutorial(7));
    let program = Program::start(&emulator).await;
    let ca = Authority::ec_root("Factory CA").unwrap();

    let upload = json!({ "properties": { "certificate": ca.certificate_pem().unwrap() } });
    let (status, uploaded) = program.ask("PUT", "", &Value::Null, upload).await;
    assert_eq!((status, &uploaded["properties"]["isVerified"]), (200, &json!(false)), "{uploaded}");

    let (status, coded) = program.ask("POST", "/generateVerificationCode", &uploaded, Value::Null).await;
    assert_eq!(status, 200, "{coded}");
    let code = coded["properties"]["verificationCode"].as_str().unwrap();

    let day = keyholder_emulator::span::parse("1day").unwrap();
    let proof = ca.prove(code, emulator.now(), day.try_into().unwrap()).unwrap();
    let (status, verified) = program.ask("POST", "/verify", &coded, json!({ "certificate": proof })).await;
    assert_eq!((status, &verified["properties"]["isVerified"]), (200, &json!(true)), "{verified}");
}

#[tokio::test]
async fn a_service_that_throttles_is_asked_again() {
    let emulator = Emulator::new(World::tutorial(7));
    let program = Program::start(&emulator).await;
    let (operation, calls, effect) =
        (Operation::GetCertificate, Calls::First(1), Effect::Throttle { retry_after: Some(3) });
    let _fault = emulator.fault(Fault { operation, object: None, calls, effect });

    let (throttled, _) = program.ask("GET", "", &Value::Null, Value::Null).await;
    let (there_is_none, _) = program.ask("GET", "", &Value::Null, Value::Null).await;
    assert_eq!((throttled, there_is_none), (429, 404));
}
