//! Connections of a real process: what an idle one costs, and what becomes of them when the process is asked to end.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use stack::Process;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Without a broker: it takes writes all the same.
async fn accounts(folder: &tempfile::TempDir) -> Process {
    let database = folder.path().join("accounts.db").display().to_string();
    let flags = ["--nats-url", "nats://127.0.0.1:1", "--database", &database];
    Process::start("accounts", flags.map(str::to_owned).to_vec()).await
}

/// Sends one request and reads its answer, of which the length is known.
async fn ask(stream: &mut TcpStream, request: &str) -> io::Result<String> {
    stream.write_all(request.as_bytes()).await?;
    let (mut answer, mut read) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut read).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&read[..length]);
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && let Some((_, length)) = head.split_once("content-length: ")
            && body.len() == length.lines().next().unwrap().parse::<usize>().unwrap()
        {
            return Ok(text.into_owned());
        }
    }
}

/// The memory of a process that is in use, in kB.
fn resident(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Opens connections, sends one request on each, and keeps them.
async fn idle_connections(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let one = async || {
        let mut stream = TcpStream::connect(address).await.unwrap();
        ask(&mut stream, "GET /accounts/1 HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await
            .unwrap();
        stream
    };
    let mut streams = Vec::with_capacity(count);
    for _ in 0..count {
        streams.push(one().await);
    }
    streams
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_costs_at_most_20_kb_and_its_memory_is_used_again() {
    const COUNT: usize = 400; // of 1,024 open files
    const BOUND: u64 = 20 * COUNT as u64;
    let folder = tempfile::tempdir().unwrap();
    let service = accounts(&folder).await;
    // Whatever is made once, at the first requests.
    drop(idle_connections(service.address(), 50).await);
    let before = resident(&service);
    for round in 1..=3 {
        let streams = idle_connections(service.address(), COUNT).await;
        let cost = resident(&service).saturating_sub(before);
        assert!(
            cost <= BOUND,
            "{COUNT} connections cost {cost} kB in round {round}"
        );
        drop(streams);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_asked_to_end_under_64_writers_answers_or_refuses_each_request() {
    for _ in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let mut service = accounts(&folder).await;
        let (address, answered) = (service.address(), AtomicUsize::new(0));
        // Half of them keep their connection, the others make a new one for every request.
        let writers = join_all((0..64).map(|n| write_until_refused(address, n % 2 == 0, &answered)));
        let end = async {
            test_support::eventually(Duration::from_secs(20), async || {
                let answered = answered.load(Ordering::Relaxed);
                if answered < 640 { Err(answered) } else { Ok(()) }
            })
            .await;
            service.terminate();
        };
        let (broken, ()) = tokio::join!(writers, end);
        let broken: Vec<_> = broken.into_iter().flatten().collect();
        assert!(
            broken.is_empty(),
            "{} requests were not answered: {broken:?}",
            broken.len()
        );
        assert!(service.ended().await, "it says that all went well");
    }
}

/// Writes until nobody listens; the error of a request that was sent and not answered, or of a connection that was neither
/// made nor refused.
async fn write_until_refused(address: SocketAddr, keep: bool, answered: &AtomicUsize) -> Option<io::Error> {
    const WRITE: &str = "POST /accounts HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
        content-length: 12\r\n\r\n{\"name\":\"a\"}";
    loop {
        let mut stream = match TcpStream::connect(address).await {
            Ok(stream) => stream,
            Err(error) => return (error.kind() != io::ErrorKind::ConnectionRefused).then_some(error),
        };
        loop {
            match ask(&mut stream, WRITE).await {
                Ok(answer) if !answer.starts_with("HTTP/1.1 201") => return Some(io::Error::other(answer)),
                Ok(answer) => {
                    answered.fetch_add(1, Ordering::Relaxed);
                    if !keep || answer.contains("connection: close") {
                        break;
                    }
                }
                Err(error) => return Some(error),
            }
        }
    }
}
