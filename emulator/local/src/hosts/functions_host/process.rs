//! One run of the handler program: started, listened to, waited for, killed.
//!
//! Like the live host it is only ever killed with SIGKILL, and gets no chance to finish anything.

use std::collections::VecDeque;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use super::console::{Console, Level};
use super::launch::Launch;
use super::lines::each_line;

/// How often a handler is asked whether it is there.
const PROBE_EVERY: Duration = Duration::from_millis(25);
/// What a grandchild that keeps the pipes open may cost us.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(1);
const LAST_WORDS: usize = 3;

/// A running handler. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Process {
    pid: u32,
    child: Child,
    readers: JoinSet<()>,
    errors: Arc<Mutex<VecDeque<String>>>,
}

/// Why a handler is not there.
#[derive(Debug)]
pub(super) enum Lost {
    /// It ended.
    Exited(ExitStatus),
    /// It answered nothing in time.
    Silent,
}

impl Process {
    /// Starts the program and listens to what it says.
    pub(super) fn spawn(launch: &Launch, console: &Console) -> std::io::Result<Process> {
        let mut child = Command::new(&launch.line.program)
            .args(&launch.line.arguments)
            .current_dir(&launch.line.directory)
            .envs(launch.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let errors = Arc::new(Mutex::new(VecDeque::new()));
        let mut readers = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            let console = console.clone();
            readers.spawn(each_line(stdout, move |line| console.stdout(line)));
        }
        if let Some(stderr) = child.stderr.take() {
            let (console, errors) = (console.clone(), Arc::clone(&errors));
            readers.spawn(each_line(stderr, move |line| {
                console.stderr(line);
                let mut errors = errors.lock().unwrap_or_else(PoisonError::into_inner);
                if errors.len() == LAST_WORDS {
                    errors.pop_front();
                }
                errors.push_back(line.to_owned());
            }));
        }
        // Only a child that was waited for has no id.
        let pid = child.id().unwrap_or_default();
        console.host(Level::Information, format!("handler {pid} started for port {}", launch.port));
        Ok(Process { pid, child, readers, errors })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until the handler answers anything at all on its port.
    pub(super) async fn ready(&mut self, client: &reqwest::Client, launch: &Launch) -> Result<(), Lost> {
        let answered = tokio::time::timeout(launch.initialization_timeout, probe(client, launch.port));
        tokio::select! {
            // First, because somebody else may be answering on the port the handler could not have.
            biased;
            status = self.exited() => Err(Lost::Exited(status)),
            answered = answered => answered.map_err(|_| Lost::Silent),
        }
    }

    /// Waits for the end; may be dropped and called again.
    pub(super) async fn exited(&mut self) -> ExitStatus {
        // Waiting for one's own child fails only if somebody else reaped it, and nobody here does.
        let status = self.child.wait().await.unwrap_or_default();
        let last_words = async { while self.readers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_WORDS_WITHIN, last_words).await;
        status
    }

    /// Kills it, however it feels about it, and waits for the end.
    pub(super) async fn kill(&mut self) -> ExitStatus {
        // The only failure is that it has ended already.
        let _ = self.child.start_kill();
        self.exited().await
    }

    /// The last lines it wrote to stderr.
    pub(super) fn last_words(&self) -> Vec<String> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

async fn probe(client: &reqwest::Client, port: u16) {
    while client.get(format!("http://127.0.0.1:{port}/")).send().await.is_err() {
        tokio::time::sleep(PROBE_EVERY).await;
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::program::CommandLine;
    use super::*;

    fn launch(script: &str) -> Launch {
        Launch {
            line: CommandLine {
                program: "/bin/sh".into(),
                arguments: vec!["-c".into(), script.into()],
                directory: std::env::temp_dir(),
            },
            environment: vec![("SETTING".to_owned(), "its value".to_owned())],
            port: 1,
            initialization_timeout: Duration::from_secs(30),
        }
    }

    #[tokio::test]
    async fn output_becomes_log_lines_and_last_words() {
        let console = Console::new();
        let launch = launch(r#"echo "$SETTING"; for n in 1 2 3 4; do echo "error $n" >&2; done; exit 3"#);
        let mut process = Process::spawn(&launch, &console).unwrap();

        assert_eq!(process.exited().await.code(), Some(3));
        assert_eq!(process.last_words(), ["error 2", "error 3", "error 4"]);
        let (lines, _) = console.follow();
        let texts =
            |level| lines.iter().filter(move |line| line.level == level).map(|line| line.text.as_str());
        assert_eq!(texts(Level::Information).next_back(), Some("its value"));
        assert_eq!(texts(Level::Error).count(), 4);
    }

    #[tokio::test]
    async fn a_program_that_ends_before_it_answers_is_not_waited_for() {
        let launch = launch("exit 7");
        let mut process = Process::spawn(&launch, &Console::new()).unwrap();
        match process.ready(&reqwest::Client::new(), &launch).await {
            Err(Lost::Exited(status)) => assert_eq!(status.code(), Some(7)),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_program_is_killed_without_being_asked_to_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (ready, asked) = (path("ready"), path("asked"));
        // The shell itself waits, so that nothing it started outlives it.
        let script = format!("trap 'echo asked > {asked}' TERM INT HUP; mkfifo {ready}; read line < {ready}");
        let mut process = Process::spawn(&launch(&script), &Console::new()).unwrap();
        while !std::path::Path::new(&ready).exists() {
            tokio::task::yield_now().await;
        }
        let status = process.kill().await;
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
        assert!(!std::path::Path::new(&asked).exists());
    }

    #[tokio::test]
    async fn a_program_that_answers_nothing_is_given_up() {
        let launch = Launch { initialization_timeout: Duration::from_millis(1), ..launch("exec sleep 600") };
        let mut process = Process::spawn(&launch, &Console::new()).unwrap();
        assert!(matches!(process.ready(&reqwest::Client::new(), &launch).await, Err(Lost::Silent)));
        assert_eq!(process.kill().await.code(), None, "a signal");
    }
}
