//! The webhook through both of its front doors, the real programs each: a server of its own, and a function on the
//! emulated AWS Lambda. Event Grid is the emulated one.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyholder::bearer::PUBLIC_EVENT_GRID;
use keyholder_emulator::World;
use keyholder_emulator::event_grid::{Provisioning, Schema};
use keyholder_emulator::faults::Calls;
use keyholder_emulator::operation::Operation;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use serde_json::{Value, json};
use wiremock::matchers::{any, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::Cloud;
use crate::harness::front_door::{FrontDoor, Kind, SECRET, propose, subscribe};
use crate::harness::programs::{HANDLER, LAMBDA, program, result};
use crate::harness::{HTTP, events};

const NOTIFICATION: [(&str, &str); 2] = [("aeg-event-type", "Notification"), ("x-functions-key", SECRET)];
/// Longer than Event Grid waits before its second attempt.
const SECOND_ATTEMPT: Duration = Duration::from_secs(31);

#[tokio::test]
async fn an_uploaded_ca_is_verified_through_either_front_door_in_either_schema() {
    let ca = Authority::root("Plant Root", Family::P256);
    for kind in Kind::BOTH {
        let cloud = Cloud::start().await;
        let front_door = FrontDoor::open(kind, &cloud).await;
        for (name, schema) in [("plant-ca", Schema::EventGrid), ("line-ca", Schema::CloudEvents)] {
            subscribe(&cloud, front_door.endpoint(), schema).await;
            cloud.import_ca(name, &ca).await;
            cloud.upload(name, &ca).await;
            let proof = cloud.until_verified(name).await;
            ca.assert_proven(&proof, &cloud.code(name));
            assert_eq!(cloud.until_answered(name).await, 200, "{kind:?} {}", front_door.log());
        }
    }
}

#[tokio::test]
async fn both_handshakes_are_done_for_announced_subscriptions_only() {
    let cloud = Cloud::start().await;
    let before = cloud.count(Operation::GetToken);
    for kind in Kind::BOTH {
        let front_door = FrontDoor::open(kind, &cloud).await;
        for schema in [Schema::EventGrid, Schema::CloudEvents] {
            subscribe(&cloud, front_door.endpoint(), schema).await;
        }
        let stranger = propose(&cloud, "somebody-else-s", front_door.endpoint(), Schema::EventGrid);
        let (stranger, _) = tokio::join!(stranger, let_second_attempts_be_made(&cloud));
        assert!(
            matches!(&stranger, Provisioning::Failed(why) if why.contains("403")),
            "{kind:?}: {stranger:?}"
        );
        front_door.until_logged("KEYHOLDER_WEBHOOK_SUBSCRIPTIONS").await;
    }
    assert_eq!(cloud.count(Operation::GetToken), before, "a handshake is no reason to call anybody");
}

/// An endpoint that refuses is asked once more after five seconds.
async fn let_second_attempts_be_made(cloud: &Cloud) {
    let emulator = cloud.emulator();
    let later = |world: &World| world.event_grid.next_due().filter(|due| *due > emulator.now());
    cloud.until("a second attempt is due", later).await;
    emulator.advance(Duration::from_secs(5));
}

#[tokio::test]
async fn handshakes_are_answered_as_in_the_samples() {
    let sample = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let question = sample(include_str!("../fixtures/eventgrid/validation.eventgrid.request.json"));
    let answer = sample(include_str!("../fixtures/eventgrid/validation.eventgrid.response.json"));
    let options = sample(include_str!("../fixtures/eventgrid/validation.cloudevents.options.json"));
    let cloud = Cloud::start().await;
    for kind in Kind::BOTH {
        let front_door = FrontDoor::open(kind, &cloud).await;
        let headers = [
            ("aeg-event-type", "SubscriptionValidation"),
            ("aeg-subscription-name", "VERIFY-ON-UPLOAD"),
            ("x-functions-key", SECRET),
        ];
        let (status, body) = front_door.post("eventgrid", &headers, &question["body"].to_string()).await;
        assert_eq!((status, sample(&body)), (200, answer["body"].clone()), "{kind:?}");

        let mut request = HTTP.request(reqwest::Method::OPTIONS, front_door.endpoint());
        for (name, value) in options["request"]["headers"].as_object().unwrap() {
            request = request.header(name, value.as_str().unwrap());
        }
        let consent = request.send().await.unwrap();
        assert_eq!(consent.status(), 200, "{kind:?}");
        for (name, value) in options["response"]["headers"].as_object().unwrap() {
            assert_eq!(consent.headers()[name.to_lowercase()], value.as_str().unwrap(), "{kind:?} {name}");
        }
    }
}

#[tokio::test]
async fn a_wrong_secret_is_final_and_the_sweep_finds_what_was_lost() {
    let ca = Authority::root("Plant Root", Family::P256);
    for kind in Kind::BOTH {
        let cloud = Cloud::start().await;
        let front_door = FrontDoor::open(kind, &cloud).await;
        // As if the secret had been replaced here, and not in the event subscription.
        subscribe(&cloud, front_door.endpoint(), Schema::EventGrid).await;
        let wrong = front_door.url("eventgrid?code=0000000000000000000000000000000000");
        cloud.emulator().with(|world, _| {
            let mut subscription = world.event_grid.subscriptions().next().unwrap().clone();
            subscription.endpoint = wrong.into();
            world.event_grid.subscribe(subscription);
        });
        cloud.import_ca("plant-ca", &ca).await;
        cloud.upload("plant-ca", &ca).await;
        assert_eq!(cloud.until_answered("plant-ca").await, 401, "{kind:?}");
        let reasons = cloud.emulator().look(|world, _| {
            let letters = world.event_grid.dead_letters();
            letters.map(|letter| letter.letter()["lastDeliveryOutcome"].clone()).collect::<Vec<_>>()
        });
        assert_eq!(reasons, [json!("Unauthorized")], "{kind:?}");
        assert_eq!(cloud.count(Operation::Sign), 0, "{kind:?}");
        assert!(!front_door.log().contains("000000000000000000000000000000000"), "{kind:?}");

        let (status, body) = front_door.post("sweep", &NOTIFICATION, "").await;
        assert_eq!(status, 200, "{kind:?}: {body}");
        assert!(body.contains("1 verified"), "{kind:?}: {body}");
        let proof = cloud.until_verified("plant-ca").await;
        ca.assert_proven(&proof, &cloud.code("plant-ca"));
        assert_eq!(front_door.post("sweep", &[], "").await.0, 401, "{kind:?}");
    }
}

/// Entra ID is a server of the test's own, with a key of its own: tokens are RS256 there, as in Azure.
#[tokio::test]
async fn where_entra_s_token_is_asked_for_the_secret_alone_is_not_enough() {
    let tenant = "00000000-0000-0000-0000-00000000aad0";
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let rsa = key.rsa().unwrap();
    let keys = json!({ "keys": [
        { "kty": "RSA", "kid": "the key", "n": part(&rsa.n().to_vec()), "e": part(&rsa.e().to_vec()) }
    ]});
    let entra = MockServer::start().await;
    let published = Mock::given(path(format!("/{tenant}/discovery/v2.0/keys")))
        .respond_with(ResponseTemplate::new(200).set_body_json(keys));
    let away = Mock::given(any()).respond_with(ResponseTemplate::new(503)).mount_as_scoped(&entra).await;

    let token = |roles: Value, given_to: &str| {
        let until = time::OffsetDateTime::now_utc().unix_timestamp() + 600;
        let issuer = format!("https://sts.windows.net/{tenant}/");
        let claims = json!({
            "iss": issuer, "aud": "api://keyholder", "exp": until, "roles": roles, "appid": given_to
        })
        .to_string();
        let header = json!({ "alg": "RS256", "kid": "the key" }).to_string();
        let signed = format!("{}.{}", part(header.as_bytes()), part(claims.as_bytes()));
        let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
        let signature = signer.sign_oneshot_to_vec(signed.as_bytes()).unwrap();
        format!("Bearer {signed}.{}", part(&signature))
    };
    let role = json!(["AzureEventGridSecureWebhookSubscriber"]);
    let good = token(role.clone(), PUBLIC_EVENT_GRID);
    let without_role = token(json!([]), PUBLIC_EVENT_GRID);
    // The documented set-up gives the role to those who create event subscriptions, too.
    let of_a_subscriber = token(role, "00000000-0000-0000-0000-0000000005b5");
    let application = format!("{tenant}/api://keyholder");
    let settings =
        [("KEYHOLDER_WEBHOOK_ENTRA", application.as_str()), ("AZURE_AUTHORITY_HOST", &entra.uri())];
    let cloud = Cloud::start_with(&settings).await;
    let deliver = async |door: &FrontDoor, token: Option<&str>| {
        let authorization = token.map(|token| ("authorization", token));
        let headers: Vec<_> = NOTIFICATION.into_iter().chain(authorization).collect();
        door.post("eventgrid", &headers, "[]").await
    };
    for kind in Kind::BOTH {
        let door = FrontDoor::open(kind, &cloud).await;
        let (status, body) = deliver(&door, Some(&good)).await;
        assert_eq!(status, 503, "{kind:?}: without keys nothing is known, so it is to come again: {body}");
    }
    drop(away);
    published.mount(&entra).await;
    for kind in Kind::BOTH {
        let door = &FrontDoor::open(kind, &cloud).await;
        for (token, expected) in
            [(Some(&good), 200), (Some(&without_role), 401), (Some(&of_a_subscriber), 401), (None, 401)]
        {
            let (status, body) = deliver(door, token.map(String::as_str)).await;
            assert_eq!(status, expected, "{kind:?}: {body}");
        }
        let (status, _) = door
            .post("eventgrid", &[("aeg-event-type", "Notification"), ("authorization", &good)], "[]")
            .await;
        assert_eq!(status, 401, "{kind:?}: the token alone is not enough either");
        assert_eq!(door.post("sweep", &NOTIFICATION, "").await.0, 200, "{kind:?}: a schedule has no token");
        assert_eq!(
            propose(&cloud, "verify-on-upload", door.endpoint(), Schema::CloudEvents).await,
            Provisioning::Succeeded
        );
        let signature = good.rsplit('.').next().unwrap();
        assert!(!door.log().contains(signature), "{kind:?}: {}", door.log());
    }
}

#[tokio::test]
async fn the_secret_is_in_no_log_however_loud() {
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = Cloud::start_with(&[("KEYHOLDER_LOG", "trace,lambda_runtime::layers=trace")]).await;
    for kind in Kind::BOTH {
        let front_door = FrontDoor::open(kind, &cloud).await;
        subscribe(&cloud, front_door.endpoint(), Schema::EventGrid).await;
        let name = format!("{kind:?}-ca").to_lowercase();
        cloud.import_ca(&name, &ca).await;
        cloud.upload(&name, &ca).await;
        assert_eq!(cloud.until_answered(&name).await, 200, "{kind:?}");
        front_door.post("eventgrid", &NOTIFICATION, "no JSON").await;
        front_door.until_logged("the request is not understood").await;
        assert!(front_door.log().to_lowercase().contains("trace\""), "{kind:?} is as loud as it gets");
        assert!(!front_door.log().contains(SECRET), "{kind:?}: {}", front_door.log());
    }
}

#[tokio::test]
async fn a_batch_is_handled_whole_and_one_event_that_has_to_come_again_brings_all_of_them() {
    let ca = Authority::root("Plant Root", Family::P256);
    for kind in Kind::BOTH {
        let cloud = Cloud::start().await;
        let front_door = FrontDoor::open(kind, &cloud).await;
        // Nobody but this test delivers anything.
        cloud.emulator().with(|world, _| world.event_grid.set_copies(0));
        let names = ["plant-ca", "line-ca", "site-ca"];
        for name in names {
            cloud.import_ca(name, &ca).await;
            cloud.upload(name, &ca).await;
        }
        cloud.fail(Operation::Sign, Some("my-vault/site-ca"), Calls::Always, 503);
        let elsewhere = json!({ "eventType": "Microsoft.Resources.ResourceDeleteSuccess", "data": {} });
        let batches = [
            ("Event Grid", names.map(events::upload), "application/json; charset=utf-8"),
            ("CloudEvents", names.map(events::upload_as_cloud_event), "application/cloudevents-batch+json"),
        ];
        for (schema, batch, media_type) in batches {
            let batch: Vec<Value> = batch.into_iter().chain([elsewhere.clone()]).collect();
            let headers = [&NOTIFICATION[..], &[("content-type", media_type)]].concat();
            let (status, body) = front_door.post("eventgrid", &headers, &json!(batch).to_string()).await;
            assert_eq!(status, 503, "{kind:?} {schema}: {body}");
            for name in ["plant-ca", "line-ca"] {
                assert!(
                    cloud.certificate(name, |certificate| certificate.is_verified()),
                    "{kind:?} {schema} {name}"
                );
                assert_eq!(cloud.successes(Operation::Verify, name), 1, "{kind:?} {schema} {name}");
            }
        }
        cloud.recover();
        let batch = json!(names.map(events::upload)).to_string();
        let (status, body) = front_door.post("eventgrid", &NOTIFICATION, &batch).await;
        assert_eq!(status, 200, "{kind:?}: {body}");
        assert!(cloud.certificate("site-ca", |certificate| certificate.is_verified()), "{kind:?}");
    }
}

#[tokio::test]
async fn what_time_mends_is_answered_so_that_event_grid_comes_again() {
    let ca = Authority::root("Plant Root", Family::P256);
    for kind in Kind::BOTH {
        let cloud = Cloud::start().await;
        let front_door = FrontDoor::open(kind, &cloud).await;
        subscribe(&cloud, front_door.endpoint(), Schema::EventGrid).await;
        cloud.import_ca("plant-ca", &ca).await;
        cloud.fail(Operation::GetCertificate, Some("plant-ca"), Calls::Always, 503);
        cloud.upload("plant-ca", &ca).await;
        assert_eq!(cloud.until_answered("plant-ca").await, 503, "{kind:?}");
        cloud.recover();
        cloud.emulator().advance(SECOND_ATTEMPT);
        cloud.until_verified("plant-ca").await;
        assert_eq!(cloud.until_answers("plant-ca", 2).await, [503, 200], "{kind:?}");
    }
}

#[tokio::test]
async fn what_a_person_has_to_mend_is_not_delivered_again_and_is_an_error_in_the_log() {
    let ca = Authority::root("Plant Root", Family::P256);
    for kind in Kind::BOTH {
        let cloud = Cloud::start().await;
        let front_door = FrontDoor::open(kind, &cloud).await;
        subscribe(&cloud, front_door.endpoint(), Schema::EventGrid).await;
        cloud.import_ca_tagged("plant-ca", &ca, &[]).await;
        cloud.upload("plant-ca", &ca).await;
        assert_eq!(cloud.until_answered("plant-ca").await, 200, "{kind:?}");
        assert_eq!(cloud.count(Operation::Sign), 0, "{kind:?}: both locks hold at every front door");
        front_door.until_logged("keyholder=my-dps-x509").await;
    }
}

/// A schedule cannot call a URL; it invokes the function with an event of that form.
#[tokio::test]
async fn a_schedule_sweeps_with_the_documented_event() {
    let documented = include_str!("../../docs/aws.md");
    let event =
        documented.split("```json sweep.json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let event = event.replace("<the secret>", SECRET);
    let ca = Authority::root("Plant Root", Family::P256);
    let cloud = Cloud::start().await;
    cloud.emulator().with(|world, _| world.event_grid.set_copies(0));
    cloud.import_ca("plant-ca", &ca).await;
    cloud.upload("plant-ca", &ca).await;
    let front_door = FrontDoor::open(Kind::Lambda, &cloud).await;
    let answer = front_door.function().invoke(&serde_json::from_str(&event).unwrap()).await.unwrap();
    assert_eq!(answer["statusCode"], 200, "{answer}");
    cloud.until_verified("plant-ca").await;
}

#[tokio::test]
async fn an_event_that_is_no_request_is_an_error_of_that_invocation_alone() {
    let cloud = Cloud::start().await;
    let front_door = FrontDoor::open(Kind::Lambda, &cloud).await;
    let lambda = front_door.function();
    let error = lambda.invoke(&json!({ "a": "console's test event" })).await.unwrap_err();
    assert!(error.to_string().contains("Lambda Function URLs"), "{error}");
    assert_eq!(HTTP.get(lambda.url()).send().await.unwrap().status(), 200);
    assert_eq!(lambda.idle_instances(), 1, "it is the same one");
}

#[tokio::test]
async fn a_function_with_too_little_time_says_so_with_the_command_that_gives_it_more() {
    let cloud = Cloud::start().await;
    for (seconds, complains) in [(3, true), (30, false)] {
        let front_door =
            FrontDoor::lambda(&cloud, |options| options.timeout = Duration::from_secs(seconds)).await;
        assert_eq!(HTTP.get(front_door.url("")).send().await.unwrap().status(), 200);
        let complaint = "aws lambda update-function-configuration --function-name keyholder --timeout";
        match complains {
            true => _ = front_door.until_logged(complaint).await,
            false => {
                // A line that comes after it, should it come.
                front_door.post("eventgrid", &[], "").await;
                front_door.until_logged("webhook.refused").await;
                assert!(!front_door.log().contains(complaint), "{}", front_door.log());
            }
        }
    }
}

#[test]
fn without_lambda_or_its_settings_a_webhook_says_what_it_needs_and_does_not_start() {
    let (code, _, stderr) = result(&program(LAMBDA).output().unwrap());
    assert_eq!(code, Some(2));
    assert!(stderr.contains("AWS_LAMBDA_RUNTIME_API") && stderr.contains("handler --webhook"), "{stderr}");

    let lambda = || program(LAMBDA).env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1").output().unwrap();
    let handler = || program(HANDLER).args(["--webhook", "127.0.0.1:0"]).output().unwrap();
    for output in [lambda(), handler()] {
        let (code, _, stderr) = result(&output);
        assert_eq!(code, Some(2), "{stderr}");
        for setting in [
            "KEYHOLDER_REGISTRIES",
            "KEYHOLDER_VAULTS",
            "KEYHOLDER_WEBHOOK_SECRET=$(openssl rand -hex 32)",
            "KEYHOLDER_WEBHOOK_SUBSCRIPTIONS=verify-on-upload",
        ] {
            assert!(stderr.contains(setting), "{setting}: {stderr}");
        }
    }
}

#[test]
fn arguments_are_explained() {
    let (code, stdout, _) = result(&program(HANDLER).arg("--help").output().unwrap());
    assert_eq!(code, Some(0));
    assert!(stdout.contains("handler --webhook ADDRESS"), "{stdout}");
    for arguments in [&["--webhook"][..], &["serve"], &["--webhook", "127.0.0.1:0", "more"]] {
        let (code, _, stderr) = result(&program(HANDLER).args(arguments).output().unwrap());
        assert_eq!(code, Some(2), "{arguments:?}");
        assert!(stderr.contains("are not understood") && stderr.contains("Usage: handler"), "{stderr}");
    }
}
