//! Brokers that cannot be used: what the log and `/readyz` of each service say meanwhile, and that all services receive and
//! publish again once the broker is as before.

use std::collections::HashSet;
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use stack::{Broker, Options, Process, Source, Stack};
use test_support::{Certificates, NatsServer, eventually};

const LONG: Duration = Duration::from_secs(20);
/// How long lines are counted. The client library tries five to ten times a second, the relay four times.
const OUTAGE: Duration = Duration::from_secs(4);
/// Lines that a service may need: why the connection was lost, and why it is not made anew, with one to spare.
const LINES: usize = 3;

/// A stack with an account on its page, and one page that is connected to the broker itself.
struct Observed {
    stack: Stack,
    account: u64,
}

impl Observed {
    async fn start() -> Self {
        let mut stack = Stack::start_with(Options {
            replicas: 0,
            ..Options::default()
        })
        .await;
        let url = stack.nats.url();
        stack.add_page(&[("--nats-url", url)]).await;
        let account = stack.create_account("before").await;
        let observed = Self { stack, account };
        observed.until_fresh("in service").await;
        observed
    }

    fn services(&self) -> impl Iterator<Item = &Process> {
        let Stack { sources, pages, .. } = &self.stack;
        sources.values().chain(&pages[..1])
    }

    /// A write becomes a page from the cache: it was published, and applied.
    async fn until_fresh(&self, name: &str) {
        self.stack.until_trusted(&self.stack.pages[0]).await;
        self.stack.rename_account(self.account, name).await;
        eventually(LONG, async || {
            let page = self.stack.page(0, self.account).await;
            let shown = page.body["name"] == name || page.body.to_string().contains(name);
            let hit = page.cache_status.starts_with("page; hit");
            if shown && hit {
                Ok(())
            } else {
                Err(format!("{} {}", page.cache_status, page.body))
            }
        })
        .await;
    }

    /// The other services apply the accounts' events, too: what a deleted account had goes with it.
    async fn until_a_deletion_is_applied(&self) {
        let account = self.stack.create_account("deleted").await;
        self.stack.add_endpoint(account, "its", "https://a.test/").await;
        self.stack.delete_account(account).await;
        let url = self.stack.sources[Source::Endpoints].url(&format!("/accounts/{account}/endpoints"));
        eventually(LONG, async || {
            let request = self.stack.request(reqwest::Method::GET, url.clone());
            let left: Value = self.stack.send(request).await.json().await.unwrap();
            if left["endpoints"] == json!([]) {
                Ok(())
            } else {
                Err(left)
            }
        })
        .await;
    }

    async fn until_all_say(&self, wanted: &str) {
        for service in self.services() {
            eventually(LONG, async || {
                let answer = self
                    .stack
                    .request(reqwest::Method::GET, service.url("/readyz"))
                    .send()
                    .await
                    .unwrap();
                let (status, said) = (answer.status(), answer.text().await.unwrap());
                if status.is_success() && said.starts_with(&format!("ready; {wanted}")) {
                    Ok(())
                } else {
                    Err(format!("{status} {said}"))
                }
            })
            .await;
        }
    }

    /// What was logged before is no part of the outage.
    fn mark(&self) -> Vec<usize> {
        self.services().map(|service| service.log().len()).collect()
    }

    /// The lines of each service since then that are no mere information.
    fn complaints_since(&self, mark: &[usize]) -> Vec<Vec<String>> {
        let new = |(service, from): (&Process, &usize)| {
            let log = service.log().split_off(*from);
            log.iter()
                .filter(|line| line["level"] != "INFO")
                .map(words)
                .collect()
        };
        self.services().zip(mark).map(new).collect()
    }

    /// The broker is restarted with these settings. Everybody says so, briefly, and all is well once it is as before.
    async fn survives(mut self, settings: &str, wanted: &str) {
        let mark = self.mark();
        self.stack.nats.kill();
        self.stack.nats.wipe();
        self.stack.nats.restart_set(settings);
        self.until_all_say(wanted).await;
        // Not a synchronisation: lines are counted for this long.
        tokio::time::sleep(OUTAGE).await;
        let complaints = self.complaints_since(&mark);
        self.stack.nats.restart_set(NatsServer::JETSTREAM);
        self.until_fresh("in service again").await;
        self.until_a_deletion_is_applied().await;
        self.until_all_say("the broker is connected\n").await;
        assert_brief(&complaints);
    }
}

/// A line without its time.
fn words(line: &Value) -> String {
    let mut line = line.clone();
    if let Some(fields) = line.as_object_mut() {
        fields.remove("timestamp");
    }
    line.to_string()
}

/// Each service said what is wrong, what to do, and nothing twice.
fn assert_brief(complaints: &[Vec<String>]) {
    for lines in complaints {
        let different: HashSet<&String> = lines.iter().collect();
        assert_eq!(different.len(), lines.len(), "a line is repeated: {lines:#?}");
        assert!(
            (1..=LINES).contains(&lines.len()),
            "{} lines in one outage: {lines:#?}",
            lines.len()
        );
        assert!(lines.iter().any(|line| line.contains("to_do")), "{lines:#?}");
    }
}

fn with(more: &str) -> String {
    format!("{}{more}", NatsServer::JETSTREAM)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_asks_for_tls_for_a_while_is_survived() {
    let certificates = Certificates::make();
    let settings = with(&certificates.nats_settings());
    let wanted = "the broker cannot be used: it uses TLS with a certificate that is not trusted here";
    Observed::start().await.survives(&settings, wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_refuses_the_password_for_a_while_is_survived() {
    let settings = with("authorization { user: me, password: right }");
    let wanted = "the broker refuses this service: it does not accept the user and the password";
    Observed::start().await.survives(&settings, wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_has_too_many_connections_is_survived() {
    // The server takes 0 for no bound.
    let settings = with("max_connections: -1");
    let wanted = "the broker refuses this service: it has as many connections as it may have";
    Observed::start().await.survives(&settings, wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_without_jetstream_for_a_while_is_survived() {
    let wanted = "the broker is connected, but the stream cannot be used: JetStream is off";
    Observed::start().await.survives("debug: false", wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_without_room_for_the_stream_is_survived() {
    let settings = "jetstream { store_dir: $NATS_STORE_DIR, max_file_store: 1MB }";
    let wanted = "the broker is connected, but the stream cannot be used: the broker has no room";
    Observed::start().await.survives(settings, wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_survived() {
    let mut observed = Observed::start().await;
    let mark = observed.mark();
    observed.stack.nats.kill();
    observed
        .until_all_say("the broker is away: the connection is refused")
        .await;
    tokio::time::sleep(OUTAGE).await;
    let complaints = observed.complaints_since(&mark);
    observed.stack.nats.restart();
    observed.until_fresh("in service again").await;
    assert_brief(&complaints);
}

/// What the client library of each service is told on the broker's port.
const ODD: [(&str, &[u8], &str); 4] = [
    ("silence", b"", "the broker is away: nobody answers there"),
    (
        "HTTP",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        "the broker cannot be used: what listens there does not greet",
    ),
    (
        "rubbish",
        b"\xff\x00rubbish\r\n",
        "the broker cannot be used: what listens there does not greet",
    ),
    // At this the library panics, in the task that is the client.
    (
        "what it panics at",
        b"-ERR\r\n",
        "the broker cannot be used: the NATS client ended by itself",
    ),
];

/// Who takes the broker's port while it is away is survived, also by a client whose task ends.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_listens_in_the_place_of_the_broker_is_survived() {
    let mut observed = Observed::start().await;
    let port = observed
        .stack
        .nats
        .url()
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    for (name, greeting, wanted) in ODD {
        let mark = observed.mark();
        observed.stack.nats.kill();
        let odd = Odd::listen(port, greeting);
        observed.until_all_say(wanted).await;
        tokio::time::sleep(OUTAGE).await;
        let complaints = observed.complaints_since(&mark);
        drop(odd);
        observed.stack.nats.restart();
        observed.until_fresh(name).await;
        observed.until_a_deletion_is_applied().await;
        for service in complaints {
            assert!(service.len() <= LINES, "{name}: {service:#?}");
        }
    }
}

struct Odd {
    port: u16,
    ended: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Odd {
    /// Greets everybody like this, and says nothing more.
    fn listen(port: u16, greeting: &'static [u8]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let end = ended.clone();
        let thread = std::thread::spawn(move || {
            let mut open = Vec::new();
            for connection in listener.incoming().flatten() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let mut connection = connection;
                let _ = connection.write_all(greeting);
                open.push(connection);
            }
        });
        Self {
            port,
            ended,
            thread: Some(thread),
        }
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = std::net::TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stack_works_over_tls_from_the_start() {
    let certificates = Certificates::make();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nats.conf");
    let secret = "authorization { user: stack, password: secret }\n";
    std::fs::write(&file, with(&format!("{}{secret}", certificates.nats_settings()))).unwrap();
    let user = |service: &str| (service.to_owned(), "stack:secret".to_owned());
    let stack = Stack::start_with(Options {
        flags: vec![format!("--nats-ca-file={}", certificates.authority().display())],
        broker: Some(Broker {
            file,
            environment: Vec::new(),
            users: Source::ALL
                .map(Source::name)
                .into_iter()
                .chain(["page"])
                .map(user)
                .collect(),
        }),
        ..Options::default()
    })
    .await;
    let account = stack.create_account("over TLS").await;
    let observed = Observed { stack, account };
    observed.until_fresh("renamed over TLS").await;
}
