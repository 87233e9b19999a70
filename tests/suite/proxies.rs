//! What a proxy of the environment gets to see: tunnels with TLS in them, and not one byte of plain HTTP.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinHandle;

use crate::harness::authority::{Authority, Family};
use crate::harness::cloud::Cloud;
use crate::harness::programs::{KEYHOLDER, program, result};

/// Every variable that can name a proxy for a plain HTTP URL.
const VARIABLES: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
const PASSWORD: &str = "proxy-password-91c4";

/// A proxy that does what it is asked to by CONNECT, and takes note of the beginning of each connection.
struct Proxy {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Proxy {
    async fn start() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let noting = heard.clone();
        let serving = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                // A peer that hangs up is no failure of the proxy's.
                tokio::spawn(serve(connection, noting.clone()));
            }
        });
        Proxy { address, heard, serving }
    }

    fn url(&self) -> String {
        format!("http://operator:{PASSWORD}@{}", self.address)
    }

    /// The first line of each connection since the last call, and what came through the tunnel first.
    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(mut client: TcpStream, heard: Arc<Mutex<Vec<String>>>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    heard.lock().unwrap().push(head.clone());
    let Some((_, port)) =
        head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()?.split_once(':'))
    else {
        return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await;
    };
    // All that is emulated is on this machine.
    let mut peer = TcpStream::connect(format!("127.0.0.1:{port}")).await?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    let first = client.read_u8().await?;
    heard.lock().unwrap().push(format!("first byte {first:#04x}"));
    peer.write_u8(first).await?;
    copy_bidirectional(&mut client, &mut peer).await.map(drop)
}

/// The emulated identity endpoint is plain HTTP, as in Azure; ARM and the vault have TLS.
#[tokio::test]
async fn no_request_without_tls_goes_through_a_proxy_whatever_the_environment_says() {
    let (cloud, proxy) = (Cloud::start().await, Proxy::start().await);
    let mut settings = cloud.azure().app_settings().to_vec();
    settings.retain(|(name, _)| name != "NO_PROXY");
    let run = async |variables: &[(&str, &str)]| {
        let mut command = Command::from(program(KEYHOLDER));
        command.args(["doctor", "-o", "json"]).envs(settings.iter().cloned()).envs(variables.iter().copied());
        let (_, stdout, stderr) = result(&command.output().await.unwrap());
        let checks: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}{stderr}"));
        (checks, proxy.heard())
    };
    let (expected, heard) = run(&[]).await;
    assert_eq!(heard, [""; 0]);
    for name in VARIABLES {
        for no_proxy in [None, Some(""), Some("unrelated.example"), Some("localhost,127.0.0.1"), Some("*")] {
            let url = proxy.url();
            let no_proxy = no_proxy.map(|value| ("NO_PROXY", value));
            let variables: Vec<_> = [(name, url.as_str())].into_iter().chain(no_proxy).collect();
            let (checks, heard) = run(&variables).await;
            let case = format!("{name}, {no_proxy:?}: {heard:#?}");
            assert_eq!(checks, expected, "{case}: it works as without a proxy");
            for line in &heard {
                assert!(line.starts_with("CONNECT ") || line == "first byte 0x16", "{case}");
            }
            let excepted = no_proxy.is_some_and(|(_, hosts)| hosts.contains(['*', '1']));
            let for_tls = name.eq_ignore_ascii_case("ALL_PROXY") && !excepted;
            assert_eq!(heard.is_empty(), !for_tls, "{case}: what has TLS does go through its proxy");
        }
    }
}

#[tokio::test]
async fn a_verification_goes_through_the_tunnel_of_a_proxy_that_the_first_line_names() {
    let proxy = Proxy::start().await;
    let settings =
        [("HTTPS_PROXY", proxy.url()), ("NO_PROXY", String::new()), ("KEYHOLDER_LOG", "trace".to_owned())];
    let cloud = Cloud::start_with(&settings.each_ref().map(|(name, value)| (*name, value.as_str()))).await;
    let ca = Authority::root("Plant Root", Family::P256);
    cloud.import_ca("plant-ca", &ca).await;
    cloud.upload("plant-ca", &ca).await;
    ca.assert_proven(&cloud.until_verified("plant-ca").await, &cloud.code("plant-ca"));

    let heard = proxy.heard();
    let connects: Vec<&String> = heard.iter().filter(|line| line.starts_with("CONNECT ")).collect();
    assert!(connects.iter().any(|line| line.contains("my-vault.vault.localhost:")), "{heard:#?}");
    // Basic credentials of the URL, which belong to the proxy alone.
    assert!(
        connects.iter().all(|line| line.to_lowercase().contains("proxy-authorization: basic ")),
        "{heard:#?}"
    );
    let logged = cloud.logged();
    let ready = logged.iter().find(|line| line["event"] == "app.ready").expect("it is the first line");
    let named = ready["proxy"].as_str().unwrap();
    assert!(named.starts_with(&format!("http://{} to ", proxy.address)), "{ready}");
    assert!(named.contains("my-vault.vault.localhost"), "{ready}");
    assert!(!cloud.story().contains(PASSWORD), "{}", cloud.story());
}

#[tokio::test]
async fn without_a_proxy_the_first_line_says_so() {
    let cloud = Cloud::start().await;
    cloud.handler().await;
    let logged = cloud.logged();
    assert_eq!(logged.iter().find(|line| line["event"] == "app.ready").unwrap()["proxy"], "none");
}

#[tokio::test]
async fn a_proxy_that_cannot_be_used_is_named_with_what_would_be_right() {
    let (cloud, socks) = (Cloud::start().await, format!("socks5://operator:{PASSWORD}@127.0.0.1:1080"));
    let run = async |no_proxy: &str| {
        let mut command = Command::from(program(KEYHOLDER));
        command.args(["doctor"]).envs(cloud.azure().app_settings().iter().cloned());
        command.env("ALL_PROXY", &socks).env("NO_PROXY", no_proxy);
        let (code, stdout, stderr) = result(&command.output().await.unwrap());
        (code, format!("{stdout}{stderr}"))
    };
    let (code, said) = run("").await;
    assert_ne!(code, Some(0), "{said}");
    for expected in ["socks5://127.0.0.1:1080", "http://host:port", "NO_PROXY"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(!said.contains(PASSWORD), "{said}");
    let (_, said) = run("localhost,127.0.0.1").await;
    assert!(!said.contains("socks5"), "what is excepted needs no proxy: {said}");
}
