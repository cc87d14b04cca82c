//! Where each part of the stack listens, chosen before anything starts.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use stack::{PerSource, Source, ports};
use tokio::net::TcpSocket;

use crate::config::PortConfig;

/// Where each part of the stack listens, on 127.0.0.1.
#[derive(Clone, Debug)]
pub struct Ports {
    /// The broker.
    pub nats: u16,
    /// The sources.
    pub sources: PerSource<u16>,
    /// One per replica of the page.
    pub pages: Vec<u16>,
    /// The lab's own page.
    pub lab: u16,
    /// The viewer of traces.
    pub traces: u16,
    /// The page as it is usually written.
    pub naive: u16,
    /// The link by which the second replica reaches the broker, so that it can be cut off; any free one.
    pub link: u16,
    _held: Held,
}

/// Bound, not listening: nobody else is given such a port, and a part that asks for it can still have it.
///
/// Where the kernel lets both bind (`SO_REUSEADDR`, <https://man7.org/linux/man-pages/man7/socket.7.html>); elsewhere
/// nothing is held, and whoever is quick may take a port before its part starts.
type Held = Arc<Vec<TcpSocket>>;

/// From one page replica's port to the next.
const REPLICA_STEP: u16 = 100;

impl Ports {
    /// Chooses the ports that `config` asks for, 0 being any free one, and fails on the first that is taken.
    ///
    /// Not of those that may never be used: the naive page's, and the viewer's where there is none.
    pub fn choose(config: &PortConfig, replicas: u16, viewer: bool) -> Result<Self> {
        // All are held until all are chosen: two zeros must not get the same port.
        let mut held = Vec::new();
        let mut claim = |port, service: &str, flag: &str| -> Result<u16> {
            let socket = ports::claim(port, service, Some(flag))?;
            let port = socket
                .local_addr()
                .context("a bound socket has an address")?
                .port();
            held.push(socket);
            Ok(port)
        };
        let nats = claim(config.nats_port, "nats", "--nats-port")?;
        let mut sources = config.sources.0;
        for source in Source::ALL {
            sources[source] = claim(sources[source], source.name(), &format!("--{source}-port"))?;
        }
        let pages = (0..replicas)
            .map(|replica| claim(page_port(config.page_port, replica)?, "page", "--page-port"))
            .collect::<Result<_>>()?;
        let lab = claim(config.lab_port, "the lab's page", "--lab-port")?;
        let traces = match config.traces_port {
            port if !viewer => port,
            port => claim(port, "traces", "--traces-port")?,
        };
        let naive = match config.naive_port {
            0 => claim(0, "naive-page", "--naive-port")?,
            port => port,
        };
        let link = claim(0, "the second replica's link", "--replicas 1")?;
        if !cfg!(target_os = "linux") {
            held.clear();
        }
        Ok(Self {
            nats,
            sources,
            pages,
            lab,
            traces,
            naive,
            link,
            _held: Arc::new(held),
        })
    }
}

fn page_port(first: u16, replica: u16) -> Result<u16> {
    if first == 0 {
        return Ok(0);
    }
    replica
        .checked_mul(REPLICA_STEP)
        .and_then(|step| first.checked_add(step))
        .context("there is no port for that many replicas: choose a lower --page-port or fewer --replicas")
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;
    use crate::config::SourcePorts;

    fn any() -> PortConfig {
        PortConfig {
            nats_port: 0,
            sources: SourcePorts(PerSource::default()),
            page_port: 0,
            lab_port: 0,
            traces_port: 0,
            naive_port: 0,
        }
    }

    #[test]
    fn a_taken_port_is_named_with_its_owner_and_its_flag() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let metrics_port = taken.local_addr().unwrap().port();
        let mut config = any();
        config.sources.0[Source::Metrics] = metrics_port;
        let message = Ports::choose(&config, 1, true).unwrap_err().to_string();
        assert!(
            message.contains(&format!("port {metrics_port}, wanted for metrics, is taken")),
            "{message}"
        );
        assert!(message.contains("--metrics-port"), "{message}");
        if cfg!(target_os = "linux") {
            assert!(
                message.contains(&format!("kill {}", std::process::id())),
                "{message}"
            );
        }
    }

    #[test]
    fn zero_is_any_free_port_and_never_the_same_twice() {
        let ports = Ports::choose(&any(), 3, true).unwrap();
        let mut all = vec![ports.nats, ports.lab, ports.traces, ports.naive, ports.link];
        all.extend(ports.pages);
        all.extend(ports.sources.values());
        for port in &all {
            TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).expect("its part can have it");
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 8 + Source::ALL.len());
        assert!(!all.contains(&0));
    }

    #[test]
    fn what_may_never_run_claims_no_port_and_what_is_started_needs_a_free_one() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let config = PortConfig {
            traces_port: port,
            naive_port: port,
            ..any()
        };
        assert_eq!(Ports::choose(&config, 1, false).unwrap().naive, port);
        assert!(
            Ports::choose(&config, 1, true).is_err(),
            "a viewer needs its port"
        );
        let message = ports::require_free(port, "naive-page").unwrap_err().to_string();
        assert!(message.contains("wanted for naive-page, is taken"), "{message}");
        drop(taken);
        ports::require_free(port, "naive-page").unwrap();
    }

    #[test]
    fn replicas_are_a_hundred_ports_apart() {
        assert_eq!(page_port(8080, 1).unwrap(), 8180);
        assert!(page_port(65_500, 1).is_err());
    }
}
