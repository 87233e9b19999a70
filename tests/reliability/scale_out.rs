//! Four handler processes, each under a Functions host of its own, and deliveries that any of them may get.

use futures::future::join_all;
use keyholder_emulator_local::functions_host::{App, FunctionsHost};
use reqwest::Client;
use tokio::net::TcpListener;

use crate::process::Process;

const PROCESSES: usize = 4;
const ROUNDS: u64 = 5;
const UPLOADS: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn each_upload_is_proven_once_however_many_processes_are_told_of_it() {
    let process = Process::start(7).await;
    process.keep("any").await;
    let mut others = Vec::new();
    for _ in 1..PROCESSES {
        let app = App::built_in(vec![env!("CARGO_BIN_EXE_handler-under-test").into()]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = process.azure.app_settings().to_vec();
        let host = FunctionsHost::start(app, settings, listener, process.emulator().clone()).await;
        others.push(host.unwrap());
    }
    let mut webhooks: Vec<_> = others.iter().map(|host| host.webhook("VerifyOnUpload")).collect();
    webhooks.push(process.azure.functions_host().webhook("VerifyOnUpload"));

    let (mut told, client) = (0, Client::new());
    for seed in 0..ROUNDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let names: Vec<String> = (0..UPLOADS).map(|number| format!("ca-{seed}-{number}")).collect();
        names.iter().for_each(|name| process.upload_past_faults(name));
        let mut deliveries = Vec::new();
        for name in &names {
            let (event, copies) = (process.event(name), random.usize(0..9));
            deliveries
                .extend((0..copies).map(|_| (event.clone(), webhooks[random.usize(0..PROCESSES)].clone())));
        }
        random.shuffle(&mut deliveries);
        told += deliveries.len() + names.len();
        // Besides these, Event Grid makes its own delivery of each.
        join_all(deliveries.into_iter().map(|(event, webhook)| {
            client.post(webhook).header("aeg-event-type", "Notification").body(event).send()
        }))
        .await;
        for name in &names {
            process.until_verified(name).await;
            assert_eq!(process.proofs_taken(name), 1, "seed {seed}: {name}");
            process.delete(name);
        }
    }
    say!(
        "scale-out: seeds 0 to {}, {told} deliveries to {PROCESSES} processes, each upload proven once",
        ROUNDS - 1
    );
}
