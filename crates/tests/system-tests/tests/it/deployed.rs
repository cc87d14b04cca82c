//! What `docker-compose.yml` runs, as far as it runs without containers: the broker with its very settings, users and passwords,
//! with which everything works and nothing else is allowed; and the check of a container's health.

mod cluster;
mod settings;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event};
use serde_json::Value;
use stack::{Broker, Options, Process, Source, Stack, program};
use test_support::{NatsServer, eventually};
use tokio::sync::mpsc;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn with_the_users_of_docker_compose_everything_that_the_services_ask_of_the_broker_is_allowed() {
    let mut stack = Stack::start_with(Options {
        broker: Some(deployed()),
        ..Options::default()
    })
    .await;
    let id = stack.create_account("before").await;
    let endpoint = stack.add_endpoint(id, "home", "https://example.org/").await;
    stack.record(id, endpoint, 5).await;
    assert_eq!(stack.cached_page(0, id).await.body["account"]["name"], "before");

    let applied = stack.applied(0, Source::Accounts).await;
    stack.rename_account(id, "after").await;
    stack.until_applied(0, Source::Accounts, applied).await;
    assert_eq!(stack.page(0, id).await.body["account"]["name"], "after");

    // A second replica finds a past to warm up from.
    let late = stack.add_page(&[]).await;
    stack.until_trusted(&stack.pages[late]).await;
    assert_eq!(stack.page(late, id).await.body["account"]["name"], "after");

    // The other sources receive deletions by durable consumers.
    stack.delete_account(id).await;
    stack.until_forgotten(id).await;

    for service in stack.services() {
        assert_eq!(refusals_told_by(service), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_publishes_its_own_events_and_nobody_elses() {
    let nats = start();
    for source in Source::ALL.map(Source::name) {
        let mut user = User::sign_in(&nats, source).await;
        user.make_stream().await;
        user.publish_as_allowed(&format!("events.{source}.1")).await;
        user.publish_as_allowed(&format!("events.{source}.watermark"))
            .await;
        for other in Source::ALL.map(Source::name).into_iter().chain(["page"]) {
            if other != source {
                user.is_refused(&format!("events.{other}.1")).await;
                user.is_refused(&format!("events.{other}.watermark")).await;
            }
        }
        user.is_refused("events.new.1").await;
    }
    let mut operator = User::sign_in(&nats, "operator").await;
    assert_eq!(operator.subjects_in_stream().await, {
        let own = |source| [format!("events.{source}.1"), format!("events.{source}.watermark")];
        Source::ALL.into_iter().flat_map(own).collect::<BTreeSet<_>>()
    });
    operator.is_refused("events.accounts.1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_operator_changes_the_stream_and_a_page_publishes_no_event() {
    let nats = start();
    User::sign_in(&nats, "accounts").await.make_stream().await;
    for name in Source::ALL.map(Source::name).into_iter().chain(["page"]) {
        let mut user = User::sign_in(&nats, name).await;
        for subject in ["DELETE", "PURGE", "UPDATE", "MSG.DELETE"] {
            user.is_refused(&format!("$JS.API.STREAM.{subject}.EVENTS")).await;
        }
        // Nor makes the page believe something past the stream.
        user.is_refused("_INBOX.page.something").await;
    }
    let mut page = User::sign_in(&nats, "page").await;
    for subject in [
        // What the client library says only when a feed is fast, or was cut off.
        "$JS.FC.EVENTS.a.b",
        "$JS.API.CONSUMER.INFO.EVENTS.a",
        "$JS.API.CONSUMER.DELETE.EVENTS.a",
        "$JS.API.CONSUMER.CREATE.EVENTS.a",
    ] {
        page.is_allowed(subject).await;
    }
    for source in Source::ALL.map(Source::name) {
        page.is_refused(&format!("events.{source}.1")).await;
    }
    for durable in ["endpoints", "metrics"] {
        for verb in ["DELETE", "MSG.NEXT", "CREATE"] {
            page.is_refused(&format!("$JS.API.CONSUMER.{verb}.EVENTS.{durable}"))
                .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listens_to_what_is_answered_to_another() {
    let nats = start();
    let mut accounts = User::sign_in(&nats, "accounts").await;
    for subject in ["_INBOX.>", "_INBOX.page.>", "events.>", ">"] {
        accounts.may_not_listen_to(subject).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_password_there_is_no_connection() {
    let nats = start();
    let wrong = ConnectOptions::with_user_and_password("accounts".to_owned(), "wrong".to_owned());
    for options in [ConnectOptions::new(), wrong] {
        let error = options.connect(nats.url()).await.unwrap_err();
        assert_eq!(error.kind(), async_nats::ConnectErrorKind::AuthorizationViolation);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_sources_are_seeded_once() {
    let stack = Stack::start_with(Options {
        broker: Some(deployed()),
        ..Options::default()
    })
    .await;
    // A canary that began before, or left this behind, is no reason to leave the rest empty.
    stack.create_account("canary 0123456789abcdef 7").await;
    assert!(seed(&stack).await.contains("seeded 7 accounts"));
    let page = stack.page(0, 2).await;
    assert_ne!(page.body["endpoints"]["endpoints"], Value::Array(Vec::new()));
    assert!(seed(&stack).await.contains("nothing to seed"));
    assert_eq!(stack.page(0, 9).await.status, 404);
}

/// Runs what the one-shot container runs; what it said.
async fn seed(stack: &Stack) -> String {
    let mut command = tokio::process::Command::new(program("lab"));
    let urls = stack.sources.iter().map(|(source, process)| {
        let variable = format!("{source}_URL").to_uppercase();
        (variable, process.url("/"))
    });
    let seeding = command
        .arg("seed")
        .envs(urls)
        .env("DATA", clone().join("data/uptime"));
    let output = seeding.output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_healthy_while_its_service_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("accounts.db").display().to_string();
    let nowhere = "nats://127.0.0.1:9".to_owned();
    let arguments = [
        "--database".to_owned(),
        database,
        "--nats-url".to_owned(),
        nowhere,
    ];
    let mut accounts = Process::start("accounts", arguments.to_vec()).await;
    let ready = accounts.url("/readyz");
    eventually(LONG, async || match reqwest::get(&ready).await {
        Ok(answer) if answer.status() == 200 => Ok(()),
        answer => Err(format!("{answer:?}")),
    })
    .await;
    let listen = accounts.address().to_string();
    assert!(is_healthy(&listen).await);
    accounts.kill().await;
    assert!(!is_healthy(&listen).await);
}

/// Asks as the image does, of a service that listens there.
async fn is_healthy(listen: &str) -> bool {
    let script = clone().join("deploy/image/healthy");
    let mut command = tokio::process::Command::new("bash");
    let asked = command.arg(script).env("LISTEN", listen).output();
    asked.await.unwrap().status.success()
}

/// The single broker of `docker-compose.yml`, with the passwords that it has if nobody sets any.
fn deployed() -> Broker {
    let compose = std::fs::read_to_string(clone().join("docker-compose.yml")).unwrap();
    let environment: BTreeSet<_> = compose.lines().filter_map(password_of_server).collect();
    let users: BTreeSet<_> = compose.lines().filter_map(user_of_service).collect();
    Broker {
        file: clone().join("deploy/nats/single.conf"),
        environment: environment.into_iter().collect(),
        users: users.into_iter().collect(),
    }
}

fn clone() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// `NATS_PAGE_PASSWORD: '"${NATS_PAGE_PASSWORD:-something}"'` as the variable and its default.
fn password_of_server(line: &str) -> Option<(String, String)> {
    let (variable, value) = line.trim().split_once(": ")?;
    let default = value
        .strip_prefix("'\"${")?
        .strip_prefix(variable)?
        .strip_prefix(":-")?;
    let named = variable.starts_with("NATS_") && variable.ends_with("_PASSWORD");
    named.then(|| (variable.to_owned(), default.trim_end_matches("}\"'").to_owned()))
}

/// `NATS_URL: nats://page:${NATS_PAGE_PASSWORD:-something}@nats-of-…` as the user and `user:something`.
fn user_of_service(line: &str) -> Option<(String, String)> {
    let (user, rest) = line.trim().strip_prefix("NATS_URL: nats://")?.split_once(":${")?;
    let (_, default) = rest.split_once("}@nats-of-")?.0.split_once(":-")?;
    Some((user.to_owned(), format!("{user}:{default}")))
}

fn start() -> NatsServer {
    let broker = deployed();
    NatsServer::start_with(&broker.file, &broker.environment, &[])
}

/// What a service logged of things that the broker did not let it do.
fn refusals_told_by(service: &Process) -> Vec<String> {
    let lines = service.log().into_iter().map(|line| line.to_string());
    lines
        .filter(|line| line.to_lowercase().contains("violation"))
        .collect()
}

/// One user's connection, and what the broker refused it.
struct User {
    client: Client,
    refusals: mpsc::UnboundedReceiver<String>,
}

impl User {
    async fn sign_in(nats: &NatsServer, name: &str) -> Self {
        let (sender, refusals) = mpsc::unbounded_channel();
        let password = deployed()
            .environment
            .into_iter()
            .find_map(|(variable, value)| {
                (variable == format!("NATS_{}_PASSWORD", name.to_uppercase())).then_some(value)
            })
            .unwrap();
        let client = ConnectOptions::with_user_and_password(name.to_owned(), password)
            .custom_inbox_prefix(format!("_INBOX.{name}"))
            .event_callback(move |event| {
                if let Event::ServerError(error) = event {
                    sender.send(error.to_string()).unwrap();
                }
                async {}
            })
            .connect(nats.url())
            .await
            .unwrap();
        Self { client, refusals }
    }

    async fn make_stream(&self) {
        let stream = async_nats::jetstream::stream::Config {
            name: "EVENTS".to_owned(),
            subjects: vec!["events.>".to_owned()],
            ..Default::default()
        };
        let jetstream = async_nats::jetstream::new(self.client.clone());
        jetstream.get_or_create_stream(stream).await.unwrap();
    }

    async fn publish_as_allowed(&self, subject: &str) {
        let jetstream = async_nats::jetstream::new(self.client.clone());
        let published = jetstream.publish(subject.to_owned(), "{}".into()).await.unwrap();
        published.await.unwrap();
    }

    async fn is_refused(&mut self, subject: &str) {
        self.client
            .publish(subject.to_owned(), "{}".into())
            .await
            .unwrap();
        self.was_refused("publish", subject).await;
    }

    /// Refusals come in order: what comes next is not of this subject.
    async fn is_allowed(&mut self, subject: &str) {
        self.client
            .publish(subject.to_owned(), "{}".into())
            .await
            .unwrap();
        self.is_refused("events.nobody.1").await;
    }

    async fn may_not_listen_to(&mut self, subject: &str) {
        let _listening = self.client.subscribe(subject.to_owned()).await.unwrap();
        self.was_refused("subscription", subject).await;
    }

    async fn was_refused(&mut self, what: &str, subject: &str) {
        let refusal = timeout(LONG, self.refusals.recv()).await;
        let refusal = refusal
            .unwrap_or_else(|_| panic!("{what} to {subject} was not refused"))
            .unwrap();
        let expected = format!("permissions violation for {what} to \"{subject}\"").to_lowercase();
        assert!(
            refusal.to_lowercase().contains(&expected),
            "{refusal}: expected {expected}"
        );
    }

    async fn subjects_in_stream(&self) -> BTreeSet<String> {
        let jetstream = async_nats::jetstream::new(self.client.clone());
        let stream = jetstream.get_stream("EVENTS").await.unwrap();
        let mut info = stream.info_with_subjects("events.>").await.unwrap();
        let mut subjects = BTreeSet::new();
        while let Some(subject) = futures::StreamExt::next(&mut info).await {
            subjects.insert(subject.unwrap().0);
        }
        subjects
    }
}
