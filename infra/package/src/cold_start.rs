//! How soon a handler answers after it was started: what a function app that had gone to sleep makes its first event
//! wait for, besides Azure's own part.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// As long as the Functions host waits.
const PATIENCE: Duration = Duration::from_secs(30);
const BETWEEN_TRIES: Duration = Duration::from_micros(200);

/// From `exec` to the first answer, over some starts.
#[derive(Clone, Copy, Debug)]
pub struct ColdStart {
    /// None was faster. On a machine that does other things as well, this is the one to look at.
    pub fastest: Duration,
    /// Half of the starts were faster.
    pub median: Duration,
    /// None was slower.
    pub slowest: Duration,
    /// How many there were.
    pub starts: usize,
}

/// Starts the handler so often, with these app settings and nothing else, and kills it as soon as it has answered.
pub fn measure(handler: &Path, settings: &[(String, String)], starts: usize) -> io::Result<ColdStart> {
    let mut times = (0..starts).map(|_| first_answer(handler, settings)).collect::<io::Result<Vec<_>>>()?;
    times.sort_unstable();
    let at = |index: usize| times.get(index).copied().unwrap_or_default();
    Ok(ColdStart { fastest: at(0), median: at(starts / 2), slowest: at(starts.saturating_sub(1)), starts })
}

fn first_answer(handler: &Path, settings: &[(String, String)]) -> io::Result<Duration> {
    let address = free_address()?;
    let mut command = Command::new(handler);
    command
        .env_clear()
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .env("FUNCTIONS_CUSTOMHANDLER_PORT", address.port().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let started = Instant::now();
    let mut child = Killed(command.spawn()?);
    loop {
        if is_ready(address) {
            return Ok(started.elapsed());
        }
        if let Some(status) = child.0.try_wait()? {
            let mut said = String::new();
            if let Some(mut stderr) = child.0.stderr.take() {
                stderr.read_to_string(&mut said)?;
            }
            return Err(io::Error::other(format!("it ended before it had answered, with {status}: {said}")));
        }
        if started.elapsed() > PATIENCE {
            return Err(io::Error::other("it did not answer in 30 s"));
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
}

/// Asks as the Functions host does.
fn is_ready(address: SocketAddr) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        io::Result::Ok(status == *b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

/// Free at the moment; the handler takes it a moment later.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Ends with its scope.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // The only failure is that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
