//! Ports for a stack: checked before anything starts, so that a taken one is a clear message and not a dead child.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use tokio::net::TcpSocket;

/// A port of this machine.
pub fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The address of a service on this machine.
pub fn url(port: u16) -> String {
    format!("http://{}", local(port))
}

/// Fails if another process took the port while this one was not running.
pub fn require_free(port: u16, service: &str) -> Result<()> {
    claim(port, service, None).map(drop)
}

/// Binds a port, or says who has it and what to do: stop that, or choose another port with `flag`.
pub fn claim(port: u16, service: &str, flag: Option<&str>) -> Result<TcpSocket> {
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
        crate::eventually(std::time::Duration::from_secs(5), async || {
            let said = said();
            if said.contains("TIME_WAIT") && said.contains("try again") {
                Ok(())
            } else {
                Err(said)
            }
        })
        .await;
    }
}
