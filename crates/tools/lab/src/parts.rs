//! What the stack is made of: which program with which settings, and how to tell that it is ready.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reqwest::Client;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::addresses::Ports;
use crate::config::UpConfig;
use crate::room;
use stack::find_program;
use stack::http::client;
use stack::ports::{local, url};
use stack::sources::SourceClient;
use stack::supervisor::{Layer, Program};
use stack::{PerSource, SOURCES, Source, database_in, page_flags, source_flags};

/// The parts of one running stack and their addresses.
#[derive(Clone, Debug)]
pub struct Stack {
    /// Where everything listens.
    pub ports: Ports,
    nats_server: PathBuf,
    programs: PathBuf,
    data_dir: PathBuf,
    data: PathBuf,
    /// How the page's replicas keep pages fresh.
    strategy: String,
    /// Where traces go, if not to a viewer of this stack.
    elsewhere: Option<String>,
}

/// A part of the stack.
#[derive(Clone, Debug)]
pub struct Part {
    /// What to start.
    pub program: Program,
    /// Where to ask whether it is ready.
    pub probe: Probe,
    /// Where it listens.
    pub port: u16,
}

/// How to tell that a part is ready.
#[derive(Clone, Debug)]
pub enum Probe {
    /// A broker greets those who connect, once its store is open.
    Greeting(SocketAddr),
    /// A service answers `GET /readyz` with a success.
    Readyz(String),
}

/// The replica that receives the feed through a link of the lab's, if there is one.
pub(crate) const LINKED: &str = "page-2";

/// The page as it is usually written.
pub(crate) const NAIVE: &str = "naive-page";

/// What runs beside the sources.
const OTHER_PROGRAMS: [&str; 3] = ["page", "traces", NAIVE];

impl Stack {
    /// Finds every program before the first one is started.
    pub fn find(config: &UpConfig, ports: Ports) -> Result<Self> {
        let nats_server = find_program(&config.nats_server).with_context(|| {
            format!(
                "there is no nats-server at {} or on PATH: let scripts/fetch-nats-server get one, and pass what it \
                 prints with --nats-server",
                config.nats_server.display()
            )
        })?;
        let programs = match &config.programs {
            Some(folder) => folder.clone(),
            None => folder_of(&std::env::current_exe().context("the lab does not know where it is")?),
        };
        for service in SOURCES.map(|info| info.name).into_iter().chain(OTHER_PROGRAMS) {
            ensure!(
                programs.join(service).is_file(),
                "the program {service} is not in {}: build all with scripts/up, or say where they are with --programs",
                programs.display()
            );
        }
        Ok(Self {
            ports,
            nats_server,
            programs,
            data_dir: config.data_dir.clone(),
            data: config.data.clone(),
            strategy: config.strategy.clone(),
            elsewhere: config.otel_exporter_otlp_endpoint.clone(),
        })
    }

    /// The broker, with its settings and its store among the lab's data.
    pub fn nats(&self) -> Part {
        let store = self.data_dir.join("nats").display().to_string();
        let settings = room::settings_file(&self.data_dir).display().to_string();
        let port = self.ports.nats.to_string();
        let arguments = [
            "--config",
            &settings,
            "--jetstream",
            "--store_dir",
            &store,
            "--addr",
            "127.0.0.1",
            "--port",
            &port,
        ];
        Part {
            program: Program {
                name: "nats".to_owned(),
                path: self.nats_server.clone(),
                arguments: arguments.map(str::to_owned).to_vec(),
                layer: Layer::Broker,
            },
            probe: Probe::Greeting(local(self.ports.nats)),
            port: self.ports.nats,
        }
    }

    /// The viewer of traces, unless they go elsewhere.
    pub fn traces(&self) -> Option<Part> {
        self.traces_url().is_some().then(|| Part {
            program: Program {
                name: "traces".to_owned(),
                path: self.programs.join("traces"),
                arguments: vec!["--listen".to_owned(), local(self.ports.traces).to_string()],
                // Below the services: they send their last spans when they end.
                layer: Layer::Broker,
            },
            probe: Probe::Readyz(format!("{}/readyz", url(self.ports.traces))),
            port: self.ports.traces,
        })
    }

    /// Where traces can be looked at, unless they go elsewhere.
    pub fn traces_url(&self) -> Option<String> {
        self.elsewhere.is_none().then(|| url(self.ports.traces))
    }

    /// The services that own data.
    pub fn sources(&self) -> Vec<Part> {
        let part = |source: Source| {
            let database = database_in(&self.data_dir, source);
            let name = source.name();
            let flags = source_flags(&database, &self.nats_url());
            self.service(
                name,
                name.to_owned(),
                self.ports.sources[source],
                Layer::Source,
                flags,
            )
        };
        Source::ALL.map(part).into()
    }

    /// The page's replicas; the second is called `page-2`.
    pub fn pages(&self) -> Vec<Part> {
        let named = self
            .ports
            .pages
            .iter()
            .enumerate()
            .map(|(place, port)| match place {
                0 => ("page".to_owned(), *port),
                _ => (format!("page-{}", place + 1), *port),
            });
        let replica = |(name, port): (String, u16)| {
            let nats = if name == LINKED {
                self.ports.link
            } else {
                self.ports.nats
            };
            let mut flags = page_flags(&self.source_urls(), &nats_url(nats));
            flags.extend(["--strategy".to_owned(), self.strategy.clone()]);
            // This is where strategies are compared.
            flags.push("--allow-override".to_owned());
            let pattern = self.traces_url().map(|url| format!("{url}/traces/{{trace_id}}"));
            let pattern = pattern.map(|pattern| format!("--trace-url-pattern={pattern}"));
            flags.extend(pattern);
            self.service("page", name, port, Layer::Edge, flags)
        };
        named.map(replica).collect()
    }

    /// The page as it is usually written: what cuts the linked replica off from the broker cuts it off, too.
    pub fn naive(&self) -> Part {
        let ports = &self.ports;
        let nats = if ports.pages.len() > 1 {
            ports.link
        } else {
            ports.nats
        };
        let flags = page_flags(&self.source_urls(), &nats_url(nats));
        self.service(NAIVE, NAIVE.to_owned(), ports.naive, Layer::Naive, flags)
    }

    /// Where the sources are.
    pub fn source_urls(&self) -> PerSource<String> {
        self.ports.sources.map(url)
    }

    /// The sources' HTTP, as any client sees it.
    pub fn clients(&self) -> SourceClient {
        SourceClient::new(self.source_urls())
    }

    /// Where a program of the workspace is, if it was built.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// The recorded data.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// How the replicas keep pages fresh, unless a request chooses.
    pub fn strategy(&self) -> &str {
        &self.strategy
    }

    /// The broker's address, as every part knows it that is not behind the link.
    pub fn nats_url(&self) -> String {
        nats_url(self.ports.nats)
    }

    /// The address of the page's first replica; there is always one.
    pub fn first_page_url(&self) -> String {
        url(self.ports.pages[0])
    }

    /// The addresses of the page's replicas.
    pub fn page_urls(&self) -> Vec<String> {
        self.ports.pages.iter().copied().map(url).collect()
    }

    fn service(&self, service: &str, name: String, port: u16, layer: Layer, flags: Vec<String>) -> Part {
        let listen = ["--listen".to_owned(), local(port).to_string()];
        let traces = self.elsewhere.clone().or_else(|| self.traces_url());
        let traces = traces.map(|url| format!("--otel-exporter-otlp-endpoint={url}"));
        Part {
            program: Program {
                name,
                path: self.programs.join(service),
                arguments: listen.into_iter().chain(flags).chain(traces).collect(),
                layer,
            },
            probe: Probe::Readyz(format!("{}/readyz", url(port))),
            port,
        }
    }
}

impl Probe {
    /// Asks until the answer is yes.
    pub async fn until_ready(&self) {
        const PATIENCE: Duration = Duration::from_secs(10);
        const PAUSE: Duration = Duration::from_millis(50);
        let http = client(PATIENCE);
        while !self.is_ready(&http).await {
            sleep(PAUSE).await;
        }
    }

    async fn is_ready(&self, http: &Client) -> bool {
        match self {
            Self::Greeting(address) => is_greeted(*address).await.unwrap_or(false),
            Self::Readyz(url) => match http.get(url).send().await {
                Ok(answer) => answer.status().is_success(),
                Err(_) => false,
            },
        }
    }
}

async fn is_greeted(address: SocketAddr) -> std::io::Result<bool> {
    let mut greeting = [0; 4];
    TcpStream::connect(address)
        .await?
        .read_exact(&mut greeting)
        .await?;
    Ok(&greeting == b"INFO")
}

fn nats_url(port: u16) -> String {
    format!("nats://{}", local(port))
}

fn folder_of(program: &Path) -> PathBuf {
    program.parent().map(Path::to_owned).unwrap_or_default()
}
