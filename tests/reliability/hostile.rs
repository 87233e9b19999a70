//! Callers who want the webhook to fail: they hold connections, send slowly, send too much, and guess the secret.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How many connections each kind holds at once.
const HELD: usize = 300;
/// Between two requests of a kind, so that they do not take all of a small machine.
const PAUSE: Duration = Duration::from_millis(5);

/// What they send; what follows is never sent, or is read.
const KINDS: [(&str, &[u8]); 5] = [
    ("idle", b""),
    ("slow header", b"POST /eventgrid HTTP/1.1\r\nhost: x\r\nx-func"),
    ("slow body", b"POST /eventgrid HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n["),
    ("wrong secret", b"POST /eventgrid?code=x HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n[]"),
    ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
];

/// They go on until they are told to end.
pub(crate) struct Hostile {
    stop: watch::Sender<bool>,
    callers: JoinSet<(&'static str, usize)>,
}

impl Hostile {
    pub(crate) fn begin(address: &str) -> Hostile {
        let stop = watch::Sender::new(false);
        let mut callers = JoinSet::new();
        for (kind, bytes) in KINDS {
            let (address, mut stopped) = (address.to_owned(), stop.subscribe());
            callers.spawn(async move {
                let (mut held, mut tried) = (VecDeque::new(), 0);
                while !*stopped.borrow_and_update() {
                    if let Ok(connection) = call(&address, bytes).await {
                        held.push_back(connection);
                        tried += 1;
                    }
                    if held.len() > HELD {
                        held.pop_front();
                    }
                    let _ = timeout(PAUSE, stopped.changed()).await;
                }
                (kind, tried)
            });
        }
        Hostile { stop, callers }
    }

    /// How often each kind was tried.
    pub(crate) async fn end(self) -> BTreeMap<&'static str, usize> {
        self.stop.send_replace(true);
        self.callers.join_all().await.into_iter().collect()
    }
}

async fn call(address: &str, bytes: &[u8]) -> std::io::Result<TcpStream> {
    let mut connection = TcpStream::connect(address).await?;
    connection.write_all(bytes).await?;
    // An answer, if there is one.
    let _ = timeout(Duration::from_millis(1), connection.read(&mut [0; 512])).await;
    Ok(connection)
}
