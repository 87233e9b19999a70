//! Connections over a stream in memory, on a clock that jumps.

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

fn limits() -> Limits {
    Limits { connections: 2, ..Limits::default() }
}

fn router() -> Router {
    let echo = |body: Result<Bytes, _>| async move { body.map_err(|_| StatusCode::BAD_REQUEST) };
    let slow = || async {
        sleep(Duration::from_secs(240)).await;
        "at last"
    };
    Router::new()
        .route("/", get(|| async { "ready" }))
        .route("/echo", post(echo))
        .route("/slow", post(slow))
        .route("/large", get(|| async { "x".repeat(1 << 20) }))
}

/// A connection, and how it ends.
fn connect() -> (DuplexStream, JoinHandle<Ended>, watch::Sender<bool>) {
    let (caller, served) = duplex(1024);
    let stopping = watch::Sender::new(false);
    let connection = Arc::new(Connection::new(limits()));
    let served = tokio::spawn(serve_one(served, router(), connection, stopping.subscribe()));
    (caller, served, stopping)
}

/// An answer up to the end of what is expected of it.
async fn answered(caller: &mut DuplexStream, end: &str) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        let byte = caller.read_u8().await.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&answer)));
        answer.push(byte);
    }
    String::from_utf8(answer).expect("it is text")
}

/// How long it takes until a connection is closed, and why it is.
async fn closed(served: JoinHandle<Ended>) -> (u64, Ended) {
    let begun = Instant::now();
    let ended = served.await.expect("it does not panic");
    (begun.elapsed().as_secs(), ended)
}

#[test]
fn the_limits_leave_the_functions_host_time_and_memory_bounded() {
    let limits = Limits::default();
    assert!(limits.idle >= Duration::from_secs(90), "the host keeps a connection for 62 to 68 s");
    assert!(limits.head <= Duration::from_secs(10) && limits.body <= Duration::from_secs(10));
    assert!(limits.connections <= 256 && MAX_HEAD <= 16 << 10);
    assert!(limits.stop > Duration::from_secs(25), "a verification may take as long");
}

#[test]
fn half_of_the_open_files_are_for_callers() {
    let described = "Limit                     Soft Limit           Hard Limit           Units\n\
                     Max open files            256                  524288               files\n";
    assert_eq!(open_files(described), Some(256));
    assert_eq!(open_files("Max open files            unlimited            unlimited            files"), None);
    assert_eq!(open_files(""), None);
    assert!((1..=256).contains(&Limits::of_this_process().connections));
}

#[tokio::test(start_paused = true)]
async fn a_kept_connection_that_was_idle_for_70_seconds_still_works() {
    let (mut caller, _served, _stopping) = connect();
    // Not used at once, as by a client that connects in advance.
    for _ in 0..3 {
        sleep(Duration::from_secs(70)).await;
        caller.write_all(GET).await.expect("it is open");
        assert!(answered(&mut caller, "ready").await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_stays_idle_is_closed_at_last() {
    let (_caller, served, _stopping) = connect();
    assert_eq!(closed(served).await, (120, Ended::TooSlow(Stage::Idle)));
}

#[tokio::test(start_paused = true)]
async fn a_header_that_comes_slowly_has_ten_seconds_from_its_first_byte() {
    let (mut caller, served, _stopping) = connect();
    sleep(Duration::from_secs(60)).await;
    let trickle = async {
        loop {
            if caller.write_all(b"G").await.is_err() {
                return std::future::pending().await;
            }
            sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        closed = closed(served) => assert_eq!(closed, (10, Ended::TooSlow(Stage::Head))),
        () = trickle => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_slowly_has_ten_seconds_from_the_end_of_the_header() {
    let (mut caller, served, _stopping) = connect();
    caller.write_all(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n").await.expect("open");
    let trickle = async {
        loop {
            if caller.write_all(b"x").await.is_err() {
                return std::future::pending().await;
            }
            sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        closed = closed(served) => assert_eq!(closed, (10, Ended::TooSlow(Stage::Body))),
        () = trickle => {}
    }
}

#[tokio::test(start_paused = true)]
async fn work_may_take_longer_than_any_of_it_whether_its_body_is_read_or_not() {
    for body in ["", "not looked at"] {
        let (mut caller, _served, _stopping) = connect();
        let head = format!("POST /slow HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        caller.write_all(head.as_bytes()).await.expect("open");
        answered(&mut caller, "at last").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_does_not_take_the_answer_is_not_waited_for() {
    let (mut caller, served, _stopping) = connect();
    caller.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("open");
    assert_eq!(closed(served).await, (10, Ended::TooSlow(Stage::Answering)));
}

#[tokio::test]
async fn a_header_has_so_many_bytes_at_most() {
    let (mut caller, served, _stopping) = connect();
    let head = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(2 * MAX_HEAD));
    let (mut reader, mut writer) = tokio::io::split(&mut caller);
    let mut answer = String::new();
    let (_, read) = tokio::join!(writer.write_all(head.as_bytes()), reader.read_to_string(&mut answer));
    read.expect("it is closed with an answer");
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(served.await.expect("no panic"), Ended::Regularly);
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_it_closes_what_is_idle_and_answers_what_is_under_way() {
    let (_idle, served, stopping) = connect();
    let begun = Instant::now();
    stopping.send_replace(true);
    assert_eq!(closed(served).await, (0, Ended::Regularly));

    let (mut caller, served, stopping) = connect();
    caller.write_all(b"POST /slow HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await.expect("open");
    sleep(Duration::from_secs(1)).await;
    stopping.send_replace(true);
    assert!(answered(&mut caller, "at last").await.contains("connection: close"));
    assert_eq!(served.await.expect("no panic"), Ended::Regularly);
    assert_eq!(begun.elapsed().as_secs(), 240);
}

#[tokio::test(start_paused = true)]
async fn the_connection_that_waits_longest_for_its_caller_makes_room() {
    let places = Arc::new(Places::new(limits()));
    let (first, _) = places.take().await;
    sleep(Duration::from_secs(1)).await;
    let (second, evicted) = places.take().await;
    assert!(!evicted);
    // The first has been heard of since.
    sleep(Duration::from_secs(1)).await;
    first.connection().received();
    let closing = second.connection().clone();
    let leaves = tokio::spawn(async move {
        closing.evicted().await;
        drop(second);
    });
    let (third, evicted) = places.take().await;
    assert!(evicted);
    leaves.await.expect("it was the one");
    drop((first, third));
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_complete_are_not_closed_for_others() {
    let places = Arc::new(Places::new(limits()));
    let (first, _) = places.take().await;
    let (second, _) = places.take().await;
    for place in [&first, &second] {
        assert!(place.connection().requested());
        place.connection().complete();
    }
    assert!(timeout(Duration::from_secs(60), places.take()).await.is_err(), "the next one waits");
    first.connection().answered();
    first.connection().flushed();
    let closing = first.connection().clone();
    tokio::spawn(async move {
        closing.evicted().await;
        drop(first);
    });
    assert!(timeout(Duration::from_secs(1), places.take()).await.is_ok());
    assert!(second.connection().waiting_since().is_none());
}

#[tokio::test]
async fn a_connection_that_makes_room_takes_no_further_request() {
    let connection = Connection::new(limits());
    assert!(connection.evict());
    assert!(!connection.requested());
    connection.received();
    connection.answered();
    assert_eq!(connection.deadline(), (Stage::Evicted, None));
    assert!(!connection.evict(), "once is enough");
}

/// Real sockets, more of them than there are places.
#[tokio::test]
async fn idle_connections_beyond_the_limit_keep_out_no_caller() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(serve(listener, router(), limits(), async { _ = stopped.await }));
    let mut idle = Vec::new();
    for _ in 0..20 {
        let mut connection = TcpStream::connect(address).await.expect("it connects");
        connection.write_all(b"GET / HT").await.expect("it is open");
        idle.push(connection);
    }
    let mut caller = TcpStream::connect(address).await.expect("it connects");
    caller.write_all(GET).await.expect("it is open");
    let mut answer = [0; 15];
    caller.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    stop.send(()).expect("it serves");
    drop(idle);
    serving.await.expect("it stops");
}
