//! Ports for a stack: checked before anything starts, so that a taken one is a clear message and not a dead child.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use tokio::net::TcpSocket;

use crate::config::PortConfig;
use crate::stack::local;

/// Where each part of the stack listens, on 127.0.0.1.
#[derive(Clone, Debug)]
pub struct Ports {
    /// The broker.
    pub nats: u16,
    /// The accounts service.
    pub accounts: u16,
    /// The endpoints service.
    pub endpoints: u16,
    /// The metrics service.
    pub metrics: u16,
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
            let socket = claim(port, service, Some(flag))?;
            let port = socket
                .local_addr()
                .context("a bound socket has an address")?
                .port();
            held.push(socket);
            Ok(port)
        };
        let nats = claim(config.nats_port, "nats", "--nats-port")?;
        let accounts = claim(config.accounts_port, "accounts", "--accounts-port")?;
        let endpoints = claim(config.endpoints_port, "endpoints", "--endpoints-port")?;
        let metrics = claim(config.metrics_port, "metrics", "--metrics-port")?;
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
            accounts,
            endpoints,
            metrics,
            pages,
            lab,
            traces,
            naive,
            link,
            _held: Arc::new(held),
        })
    }
}

/// Fails if somebody listens on a part's port, who came while the part did not run.
pub(crate) fn require_free(port: u16, service: &str) -> Result<()> {
    claim(port, service, None).map(drop)
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

fn claim(port: u16, service: &str, flag: Option<&str>) -> Result<TcpSocket> {
    let or_choose = flag.map_or(String::new(), |flag| {
        format!(", or choose another port with {flag}")
    });
    match bind(port) {
        Ok(socket) => Ok(socket),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let (who, stop) = match holder_of(port) {
                Holder::Listener(owner) => (
                    format!("by process {} ({})", owner.pid, owner.command),
                    format!("stop it (kill {})", owner.pid),
                ),
                Holder::Ended => (
                    "by a connection that has ended (TIME_WAIT)".to_owned(),
                    "the system frees it within a minute, so try again".to_owned(),
                ),
                Holder::Connection => (
                    "by a connection of a program to another".to_owned(),
                    "wait until that program closes it".to_owned(),
                ),
                Holder::Unknown => ("by another program".to_owned(), "stop that program".to_owned()),
            };
            bail!("port {port}, wanted for {service}, is taken {who}: {stop}{or_choose}")
        }
        Err(error) => Err(error)
            .with_context(|| format!("port {port}, wanted for {service}, cannot be used{or_choose}")),
    }
}

fn bind(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(local(port))?;
    Ok(socket)
}

struct Owner {
    pid: u32,
    command: String,
}

/// What keeps a port.
enum Holder {
    /// A program that listens there, of the same user.
    Listener(Owner),
    /// A connection that was made from there.
    Connection,
    /// What is left of such a connection, which no program holds any more.
    Ended,
    /// The system does not tell.
    Unknown,
}

/// What keeps a port, if the system tells: Linux does, in `/proc`.
fn holder_of(port: u16) -> Holder {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let tables = tables.iter().filter_map(|table| fs::read_to_string(table).ok());
    let tables: Vec<_> = tables.collect();
    let lines = tables.iter().flat_map(|table| table.lines());
    let sockets: Vec<_> = lines.filter_map(|line| socket_on(line, port)).collect();
    if let Some(listener) = sockets.iter().find(|socket| socket.state == LISTEN) {
        return owner_of(listener.inode).map_or(Holder::Unknown, Holder::Listener);
    }
    match sockets.as_slice() {
        [] => Holder::Unknown,
        sockets if sockets.iter().all(|socket| socket.state == TIME_WAIT) => Holder::Ended,
        _ => Holder::Connection,
    }
}

/// The process of the same user that holds a socket.
fn owner_of(inode: &str) -> Option<Owner> {
    let link = PathBuf::from(format!("socket:[{inode}]"));
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut numbered =
        processes.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())));
    numbered.find_map(|(pid, folder): (u32, PathBuf)| {
        let mut files = fs::read_dir(folder.join("fd")).ok()?.flatten();
        files.find(|file| fs::read_link(file.path()).is_ok_and(|target| target == link))?;
        let command = fs::read_to_string(folder.join("comm")).ok()?;
        Some(Owner {
            pid,
            command: command.trim().to_owned(),
        })
    })
}

const TIME_WAIT: &str = "06";
const LISTEN: &str = "0A";

/// One line of `/proc/net/tcp`.
struct Socket<'a> {
    state: &'a str,
    inode: &'a str,
}

/// Reads a line of that port: `sl local_address rem_address st …`, the inode being the tenth field.
fn socket_on(line: &str, port: u16) -> Option<Socket<'_>> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
    (u16::from_str_radix(local_port, 16) == Ok(port)).then_some(())?;
    Some(Socket {
        state: fields.get(3)?,
        inode: fields.get(9)?,
    })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    const ANY: PortConfig = PortConfig {
        nats_port: 0,
        accounts_port: 0,
        endpoints_port: 0,
        metrics_port: 0,
        page_port: 0,
        lab_port: 0,
        traces_port: 0,
        naive_port: 0,
    };

    #[test]
    fn a_taken_port_is_named_with_its_owner_and_its_flag() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let metrics_port = taken.local_addr().unwrap().port();
        let message = Ports::choose(&PortConfig { metrics_port, ..ANY }, 1, true)
            .unwrap_err()
            .to_string();
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

    #[tokio::test]
    async fn a_connection_is_not_taken_for_a_program_that_listens() {
        if !cfg!(target_os = "linux") {
            return;
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        // Bound as the system binds what connects: without SO_REUSEADDR.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(local(0)).unwrap();
        let connection = socket.connect(listener.local_addr().unwrap()).await.unwrap();
        let port = connection.local_addr().unwrap().port();
        let (accepted, _) = listener.accept().unwrap();
        let said = || require_free(port, "metrics").unwrap_err().to_string();
        assert!(said().contains("by a connection of a program"), "{}", said());

        // The side that closes first waits.
        drop(connection);
        drop(accepted);
        test_support::eventually(std::time::Duration::from_secs(5), async || {
            let said = said();
            if said.contains("TIME_WAIT") && said.contains("try again") {
                Ok(())
            } else {
                Err(said)
            }
        })
        .await;
    }

    #[test]
    fn zero_is_any_free_port_and_never_the_same_twice() {
        let ports = Ports::choose(&ANY, 3, true).unwrap();
        let mut all = vec![
            ports.nats,
            ports.accounts,
            ports.endpoints,
            ports.metrics,
            ports.lab,
            ports.traces,
            ports.naive,
            ports.link,
        ];
        all.extend(ports.pages);
        for port in &all {
            TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).expect("its part can have it");
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 11);
        assert!(!all.contains(&0));
    }

    #[test]
    fn what_may_never_run_claims_no_port_and_what_is_started_needs_a_free_one() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let config = PortConfig {
            traces_port: port,
            naive_port: port,
            ..ANY
        };
        assert_eq!(Ports::choose(&config, 1, false).unwrap().naive, port);
        assert!(
            Ports::choose(&config, 1, true).is_err(),
            "a viewer needs its port"
        );
        let message = require_free(port, "naive-page").unwrap_err().to_string();
        assert!(message.contains("wanted for naive-page, is taken"), "{message}");
        drop(taken);
        require_free(port, "naive-page").unwrap();
    }

    #[test]
    fn replicas_are_a_hundred_ports_apart() {
        assert_eq!(page_port(8080, 1).unwrap(), 8180);
        assert!(page_port(65_500, 1).is_err());
    }
}
