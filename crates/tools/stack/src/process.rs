//! One service as a process that can be killed.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

/// How long a service may take from its start to its port.
const STARTS_WITHIN: Duration = Duration::from_secs(20);

/// Variables of a process, as (name, value).
pub type Environment = Vec<(String, String)>;

/// A running service. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    arguments: Vec<String>,
    environment: Environment,
    address: SocketAddr,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts a service on a free port and waits until it listens.
    ///
    /// # Panics
    /// When it does not: with what it logged.
    pub async fn start(name: &'static str, arguments: Vec<String>) -> Self {
        let started = Self::try_start(name, arguments).await;
        started.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same, with variables of its own.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_in(environment: Environment, name: &'static str, arguments: Vec<String>) -> Self {
        let started = Self::start_on(name, arguments, environment, "127.0.0.1:0").await;
        started.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same as [`start`](Self::start), for programs that have to tell a person what is missing.
    pub async fn try_start(name: &'static str, arguments: Vec<String>) -> Result<Self, String> {
        Self::start_on(name, arguments, Environment::new(), "127.0.0.1:0").await
    }

    async fn start_on(
        name: &'static str,
        arguments: Vec<String>,
        environment: Environment,
        listen: &str,
    ) -> Result<Self, String> {
        let log = Arc::default();
        let (child, lines) = spawn(name, &arguments, &environment, listen).map_err(|error| {
            format!("{name} does not start: {error}; build it first: cargo build -p {name}")
        })?;
        let address = timeout(STARTS_WITHIN, follow(lines, Arc::clone(&log)))
            .await
            .ok()
            .flatten();
        let address = address.ok_or_else(|| format!("{name} does not listen; it logged {}", text(&log)))?;
        Ok(Self {
            name,
            arguments,
            environment,
            address,
            child,
            log,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path of it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Ends it as a power cut would (SIGKILL).
    pub async fn kill(&mut self) {
        // An error says that it has already ended, which is what is wanted.
        let _ = self.child.kill().await;
    }

    /// Stops it for a while (SIGSTOP): its connections stay open, and nothing in it runs. Returns once it stands still.
    ///
    /// Whoever owns it may kill, restart or drop it meanwhile.
    ///
    /// # Panics
    /// When it has ended.
    pub fn pause(&self) {
        crate::signals::pause_process(self.id());
    }

    /// Lets it go on after [`pause`](Self::pause).
    ///
    /// # Panics
    /// When it has ended.
    pub fn resume(&self) {
        crate::signals::resume_process(self.id());
    }

    /// Asks it to end (SIGTERM): it answers what it has read, and ends.
    ///
    /// # Panics
    /// When it has ended.
    pub fn terminate(&self) {
        crate::signals::terminate_process(self.id());
    }

    /// Whether it has not ended. A paused process is alive.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What it logged last, or "none", if it has ended.
    pub fn last_words(&mut self) -> Option<String> {
        if self.is_alive() {
            return None;
        }
        let log = self.log();
        let last = log.iter().skip(log.len().saturating_sub(5));
        let words: Vec<_> = last.map(ToString::to_string).collect();
        if words.is_empty() {
            return Some("none".to_owned());
        }
        Some(words.join(" "))
    }

    /// The number by which the system knows it.
    ///
    /// # Panics
    /// When it has ended.
    pub fn id(&self) -> u32 {
        self.child.id().expect("the process has not ended")
    }

    /// Waits until it ends by itself; whether it said that all was well.
    ///
    /// # Panics
    /// When it does not end within twenty seconds.
    pub async fn ended(&mut self) -> bool {
        let status = timeout(STARTS_WITHIN, self.child.wait())
            .await
            .expect("the process ends");
        status.is_ok_and(|status| status.success())
    }

    /// Starts it again on the same port, with other arguments where `change` says so.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&mut self, change: impl FnOnce(&mut Vec<String>)) {
        self.kill().await;
        let mut arguments = self.arguments.clone();
        change(&mut arguments);
        let environment = self.environment.clone();
        let started = Self::start_on(self.name, arguments, environment, &self.address.to_string()).await;
        *self = started.unwrap_or_else(|error| panic!("{error}"));
    }

    /// What it logged so far, one JSON object per line.
    pub fn log(&self) -> Vec<Value> {
        let lines = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        lines
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }
}

fn spawn(
    name: &str,
    arguments: &[String],
    environment: &Environment,
    listen: &str,
) -> io::Result<(Child, Lines<BufReader<ChildStderr>>)> {
    let mut child = Command::new(program(name))
        .args(["--listen", listen, "--log-format", "json"])
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stderr = child.stderr.take().expect("stderr is piped");
    Ok((child, BufReader::new(stderr).lines()))
}

/// Reads until the line that says where it listens, and goes on reading in the background: a full pipe would block it.
async fn follow(
    mut lines: Lines<BufReader<ChildStderr>>,
    log: Arc<Mutex<Vec<String>>>,
) -> Option<SocketAddr> {
    let keep = |line: String| log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    let address = loop {
        let line = lines.next_line().await.ok()??;
        let address = address_in(&line);
        keep(line);
        if address.is_some() {
            break address;
        }
    };
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
    address
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["message"] == "listening").then(|| line["address"].as_str()?.parse().ok())?
}

fn text(log: &Mutex<Vec<String>>) -> String {
    log.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
}

/// Where a program of the workspace is: beside the test's own executable, which is `target/<profile>/deps/it-…`, as
/// `target/<profile>/accounts`.
///
/// # Panics
/// When the system does not say where the test's executable is.
pub fn program(name: &str) -> PathBuf {
    let mut folder = std::env::current_exe().expect("a test knows its executable");
    while folder.pop() {
        let binary = folder.join(name);
        if binary.is_file() {
            return binary;
        }
    }
    PathBuf::from(name)
}

/// Where a program on PATH is; a name with a folder is taken as it is.
pub fn find_program(name: &Path) -> Option<PathBuf> {
    if name.components().count() > 1 {
        return name.is_file().then(|| name.to_owned());
    }
    #[expect(clippy::disallowed_methods, reason = "PATH is the system's setting, not ours")]
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}
