//! The broker of a run: one server, or three that keep the stream together.

use std::net::TcpListener;
use std::time::Duration;

use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::{self, response::Response};
use serde_json::Value;
use stack::{NatsServer, STREAM, eventually};

/// How long three servers may take until they have agreed on a leader.
const AGREE_WITHIN: Duration = Duration::from_mins(1);
/// How long a server is asked who leads.
const ASKED_FOR: Duration = Duration::from_secs(2);

/// Everything that clients know as the broker. It ends when this is dropped.
#[derive(Debug)]
pub struct Broker {
    servers: Vec<NatsServer>,
}

impl Broker {
    /// Starts one server, or a cluster of so many.
    ///
    /// # Panics
    /// When a server does not start, or the cluster finds no leader.
    pub async fn start(servers: usize) -> Self {
        if servers < 2 {
            return Self {
                servers: vec![NatsServer::start()],
            };
        }
        let listeners: Vec<_> = (0..servers)
            .map(|_| TcpListener::bind("127.0.0.1:0").expect("a loopback port is free"))
            .collect();
        let address =
            |listener: &TcpListener| listener.local_addr().expect("a bound listener has an address");
        let addresses: Vec<_> = listeners
            .iter()
            .map(|listener| address(listener).to_string())
            .collect();
        drop(listeners);
        let settings = (0..servers).map(|number| settings(number, &addresses));
        let broker = Self {
            servers: settings
                .map(|settings| NatsServer::start_set(&settings))
                .collect(),
        };
        eventually(AGREE_WITHIN, async || broker.answers().await).await;
        broker
    }

    /// Where clients find it: all its servers, beginning with one of them, for a [`Link`](stack::Link).
    pub fn url(&self, beginning: usize) -> String {
        let urls = self.servers.iter().map(NatsServer::url);
        let mut addresses: Vec<_> = urls
            .map(|url| url.trim_start_matches("nats://").to_owned())
            .collect();
        addresses.rotate_left(beginning % self.servers.len());
        format!("nats://{}", addresses.join(","))
    }

    /// How many copies of the stream there are.
    pub const fn copies(&self) -> usize {
        self.servers.len()
    }

    /// Kills every server.
    pub fn kill(&mut self) {
        self.servers.iter_mut().for_each(NatsServer::kill);
    }

    /// Deletes what every server stored; each must have been killed.
    pub fn wipe(&mut self) {
        self.servers.iter_mut().for_each(NatsServer::wipe);
    }

    /// Starts every server again.
    pub fn restart(&mut self) {
        self.servers.iter_mut().for_each(NatsServer::restart);
    }

    /// Lets every server stand still.
    pub fn pause(&self) {
        self.servers.iter().for_each(NatsServer::pause);
    }

    /// Lets every server go on.
    pub fn resume(&self) {
        self.servers.iter().for_each(NatsServer::resume);
    }

    /// Kills one server.
    pub fn kill_one(&mut self, number: usize) {
        let number = number % self.servers.len();
        self.servers[number].kill();
    }

    /// Starts it again.
    pub fn restart_one(&mut self, number: usize) {
        let number = number % self.servers.len();
        self.servers[number].restart();
    }

    /// Which server leads the stream's copies; the first if nobody says.
    pub async fn leader(&self) -> usize {
        let leader = async {
            let context = self.context(0).await?;
            let stream = context.get_stream(STREAM).await.ok()?;
            let leader = stream.cached_info().cluster.as_ref()?.leader.clone()?;
            leader.strip_prefix("nats-")?.parse().ok()
        };
        leader.await.unwrap_or_default()
    }

    async fn answers(&self) -> Result<(), String> {
        for number in 0..self.servers.len() {
            let context = self.context(number).await.ok_or("a server takes no connection")?;
            let answer = context.request("INFO", &()).await;
            if let Response::Err::<Value> { error } = answer.map_err(|error| error.to_string())? {
                return Err(error.to_string());
            }
        }
        Ok(())
    }

    async fn context(&self, number: usize) -> Option<jetstream::Context> {
        let client = async_nats::connect(self.servers[number].url()).await.ok()?;
        Some(ContextBuilder::new().timeout(ASKED_FOR).build(client))
    }
}

/// As in `deploy/nats/cluster.conf`: clients know one name that leads to all.
fn settings(number: usize, addresses: &[String]) -> String {
    let routes: Vec<_> = addresses
        .iter()
        .map(|address| format!("nats-route://{address}"))
        .collect();
    format!(
        "server_name: nats-{number}\n{}cluster {{ name: faults, listen: \"{}\", no_advertise: true, routes: {routes:?} }}\n",
        NatsServer::JETSTREAM,
        addresses[number]
    )
}
