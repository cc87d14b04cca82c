//! The service, started as its program starts it.

use std::path::PathBuf;

use clap::Parser as _;
use jiff::Timestamp;
use metrics::Config;
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use test_support::NatsServer;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// One service with a database and a broker of its own, and one account in it.
#[derive(Debug)]
pub(crate) struct Service {
    url: String,
    client: Client,
    folder: TempDir,
    _nats: NatsServer,
    stop: DropGuard,
    running: JoinHandle<()>,
}

/// A sample, as far as one differs from another here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) endpoint: i64,
    pub(crate) at: i64,
    pub(crate) down: bool,
    pub(crate) response_ms: i64,
}

impl Service {
    pub(crate) async fn start() -> Self {
        let nats = NatsServer::start();
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/accounts/7", listener.local_addr().unwrap());
        let database = database_in(&folder);
        let arguments = [
            "metrics",
            "--database",
            database.to_str().unwrap(),
            "--nats-url",
            &nats.url(),
        ];
        let config = Config::parse_from(arguments);
        let stop = CancellationToken::new();
        let run = metrics::run(config, listener, stop.clone());
        let running = tokio::spawn(async { run.await.unwrap() });
        Self {
            url,
            client: Client::new(),
            folder,
            _nats: nats,
            stop: stop.drop_guard(),
            running,
        }
    }

    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.running.await.unwrap();
    }

    pub(crate) fn database(&self) -> PathBuf {
        database_in(&self.folder)
    }

    pub(crate) async fn record(&self, samples: &[Sample]) {
        let samples: Vec<_> = samples.iter().map(|sample| sample.to_json()).collect();
        let url = format!("{}/samples", self.url);
        let request = self.client.post(url).json(&json!({ "samples": samples }));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 201);
        response.bytes().await.unwrap();
    }

    /// The answer's body, to its last byte.
    pub(crate) async fn summary(&self, window: &str) -> Vec<u8> {
        let url = format!("{}/metrics?window={window}", self.url);
        let response = self.client.get(url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.bytes().await.unwrap().to_vec()
    }
}

impl Sample {
    fn to_json(self) -> Value {
        let at = Timestamp::from_millisecond(self.at).unwrap();
        json!({
            "endpoint_id": self.endpoint, "at": format!("{at:.3}"),
            "state": if self.down { "down" } else { "up" }, "status_code": if self.down { 0 } else { 200 },
            "response_ms": self.response_ms,
        })
    }
}

fn database_in(folder: &TempDir) -> PathBuf {
    folder.path().join("metrics.db")
}
