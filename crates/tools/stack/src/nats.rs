//! A real nats-server with JetStream, on a port of its own, that can be killed and started again.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running server. It ends, and its store vanishes, when this is dropped.
#[derive(Debug)]
pub struct NatsServer {
    process: Option<Child>,
    port: u16,
    store: TempDir,
    settings: Settings,
}

/// What a server is told besides where it listens.
#[derive(Debug)]
enum Settings {
    /// The text of a file of settings.
    Text(String),
    /// A file of settings, its variables, and arguments that go before it.
    File {
        file: PathBuf,
        environment: Vec<(String, String)>,
        arguments: Vec<String>,
    },
}

impl NatsServer {
    /// The settings of [`start`](Self::start): `JetStream` in the server's own folder, and no users.
    ///
    /// Its bound is said, and not left to the disk: of what is free a server takes three quarters, and has no room for the
    /// stream where that is less than a gibibyte.
    pub const JETSTREAM: &str =
        "jetstream { store_dir: $NATS_STORE_DIR, max_memory_store: 64MB, max_file_store: 2GB }\n";

    /// Starts a server on a free port.
    ///
    /// # Panics
    /// When there is no nats-server: `scripts/fetch-nats-server` gets one.
    pub fn start() -> Self {
        Self::try_start().expect("nats-server starts; scripts/fetch-nats-server gets one")
    }

    /// The same, for programs that have to tell a person what is missing.
    pub fn try_start() -> io::Result<Self> {
        Self::try_start_as(Settings::Text(Self::JETSTREAM.to_owned()), 0)
    }

    /// Starts a server on this port, where something else may just have listened.
    ///
    /// # Panics
    /// When the port is taken.
    pub fn start_on(port: u16) -> Self {
        Self::try_start_as(Settings::Text(Self::JETSTREAM.to_owned()), port)
            .expect("nats-server starts there")
    }

    /// Starts a server with these settings, in the form of its file, on a free port.
    ///
    /// There, `$NATS_STORE_DIR` is the server's own folder. `JetStream` is off unless they say where its store is.
    ///
    /// # Panics
    /// When there is no nats-server, or it refuses the settings.
    pub fn start_set(settings: &str) -> Self {
        Self::try_start_as(Settings::Text(settings.to_owned()), 0)
            .expect("nats-server starts with the settings")
    }

    /// Starts a server with a file of settings, on free ports whatever the file says.
    ///
    /// The file's variables are taken from `environment`. There, `NATS_STORE_DIR` is the server's own folder, to be named
    /// by the file's `store_dir`. Arguments go before what the file says.
    ///
    /// # Panics
    /// When there is no nats-server, or it refuses the file.
    pub fn start_with(file: &Path, environment: &[(String, String)], arguments: &[String]) -> Self {
        let settings = Settings::File {
            file: file.to_owned(),
            environment: environment.to_owned(),
            arguments: arguments.to_owned(),
        };
        Self::try_start_as(settings, 0).expect("nats-server starts with the settings of the file")
    }

    fn try_start_as(settings: Settings, port: u16) -> io::Result<Self> {
        let store = tempfile::tempdir()?;
        // If it is 0, the server picks the port and writes it down: nobody else can take it in between.
        let mut server = Self {
            process: None,
            port,
            store,
            settings,
        };
        if port == 0 {
            server.spawn("-1")?;
            server.port = server.read_port()?;
        } else {
            server.spawn(&port.to_string())?;
            server.await_listening()?;
        }
        Ok(server)
    }

    /// Where to connect.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Kills it as a power cut would (SIGKILL). Its store stays.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Stops it for a while (SIGSTOP): connections stay open, are even accepted by the kernel, and nothing is answered.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pause(&self) {
        crate::signals::pause_process(self.id());
    }

    /// Lets it go on after [`pause`](Self::pause).
    ///
    /// # Panics
    /// When it does not run.
    pub fn resume(&self) {
        crate::signals::resume_process(self.id());
    }

    /// Starts it again on the same port, with what its store holds.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.kill();
        self.spawn(&self.port.to_string())
            .and_then(|()| self.await_listening())
            .expect("nats-server starts again");
    }

    /// Starts it again on the same port with other settings, in the form of its file.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart_set(&mut self, settings: &str) {
        self.settings = Settings::Text(settings.to_owned());
        self.restart();
    }

    /// Forgets everything that was stored; to be called between [`kill`](Self::kill) and [`restart`](Self::restart).
    ///
    /// # Panics
    /// When the folder cannot be removed.
    pub fn wipe(&mut self) {
        std::fs::remove_dir_all(self.store()).expect("the store can be removed");
    }

    /// Where it keeps its streams: to be copied, and set back, while it is killed.
    pub fn store(&self) -> PathBuf {
        self.store.path().join("jetstream")
    }

    /// The number by which the system knows it.
    ///
    /// # Panics
    /// When it does not run.
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("the server was not killed").id()
    }

    fn spawn(&mut self, port: &str) -> io::Result<()> {
        let _ = std::fs::remove_dir_all(self.ports_dir());
        std::fs::create_dir_all(self.ports_dir())?;
        let mut command = Command::new(binary());
        command
            .args(["--addr", "127.0.0.1", "--port", port, "--ports_file_dir"])
            .arg(self.ports_dir());
        match &self.settings {
            Settings::Text(text) => {
                let file = self.store.path().join("nats.conf");
                std::fs::write(&file, text)?;
                command.arg("--config").arg(file);
            }
            Settings::File {
                file,
                environment,
                arguments,
            } => {
                command.args(["--http_port", "-1", "--config"]).arg(file);
                command.args(arguments).envs(environment.iter().cloned());
            }
        }
        command.env("NATS_STORE_DIR", self.store.path());
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        self.process = Some(process);
        Ok(())
    }

    fn ports_dir(&self) -> PathBuf {
        self.store.path().join("ports")
    }

    fn read_port(&self) -> io::Result<u16> {
        poll(|| {
            let file = std::fs::read_dir(self.ports_dir())?
                .next()
                .ok_or(io::ErrorKind::NotFound)??;
            let text = std::fs::read_to_string(file.path())?;
            let address = text
                .split("127.0.0.1:")
                .nth(1)
                .ok_or(io::ErrorKind::InvalidData)?;
            let digits: String = address.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().map_err(|_| io::ErrorKind::InvalidData.into())
        })
    }

    fn await_listening(&self) -> io::Result<()> {
        poll(|| std::net::TcpStream::connect(("127.0.0.1", self.port)).map(drop))
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Blocking, because a server is started before there is anything to wait with.
fn poll<T>(ask: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        match ask() {
            Err(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(2)),
            answer => return answer,
        }
    }
}

/// `NATS_SERVER`, else the one in the clone's `.tools`, else the one on the PATH.
#[expect(
    clippy::disallowed_methods,
    reason = "tests have no config.rs; scripts/test tells where the server is"
)]
fn binary() -> PathBuf {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../.tools/nats-server");
    match std::env::var_os("NATS_SERVER") {
        Some(path) => path.into(),
        None if fetched.exists() => fetched,
        None => "nats-server".into(),
    }
}
