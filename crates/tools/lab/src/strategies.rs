//! The comparison of the strategies: the load test's quick plan on the stack that runs, as a process of its own.

mod compared;

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde::Deserialize;
use stack::PerSource;
use stack::ports::url;
use stack::sources::SourceClient;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::Command;

use self::compared::Results;
use crate::config::PAGE_URL;
use crate::parts::Stack;

pub use self::compared::{Compared, Row};

/// What the accounts of a load test say of themselves, by which those are found that one left behind.
const DESCRIPTION: &str = "Of a load test";

/// How far a comparison is.
#[derive(Clone, Debug, Deserialize)]
pub struct Progress {
    /// What it does now.
    pub step: String,
    /// How much of it is done.
    pub done: u64,
    /// Of how much.
    pub of: u64,
}

/// A line that the load test writes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Done { results: Results, how: Vec<String> },
    Moved(Progress),
}

/// The load test's program, and the stack that it compares on.
#[derive(Clone, Debug)]
pub struct LoadTest {
    program: PathBuf,
    data: PathBuf,
    /// Each flag with the address of a service; the page's first.
    addresses: Vec<(String, String)>,
}

impl LoadTest {
    /// Compares on this stack.
    pub fn new(stack: &Stack) -> Self {
        Self {
            program: stack.program("loadtest"),
            data: stack.data().to_owned(),
            addresses: addresses(stack.first_page_url(), &stack.source_urls()),
        }
    }

    /// An error that says what to do if the program is not there.
    pub fn require_program(&self) -> Result<()> {
        let folder = self.program.parent().unwrap_or(&self.program).display();
        ensure!(
            self.program.is_file(),
            "the program loadtest is not in {folder}: build it with scripts/up or cargo build -p loadtest"
        );
        Ok(())
    }

    /// The command that does the same in a terminal. The load test finds a stack at the usual addresses by itself.
    pub fn command(&self) -> String {
        let here = std::env::current_dir().unwrap_or_default();
        let program = self.program.strip_prefix(here).unwrap_or(&self.program);
        let mut words = vec![program.display().to_string(), "--quick".to_owned()];
        let usual = PerSource::from_fn(|source| url(source.info().port));
        if self.addresses != addresses(PAGE_URL.to_owned(), &usual) {
            words.extend(self.address_flags());
        }
        words.join(" ")
    }

    /// Compares, which takes about twelve seconds, or longer where a source is slow; says meanwhile how far it is.
    ///
    /// Dropped, it ends the load test.
    pub async fn run(&self, progress: impl Fn(Progress)) -> Result<Compared> {
        let mut child = Command::new(&self.program)
            .args(["--quick", "--json", "--data"])
            .arg(&self.data)
            .args(self.address_flags())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} does not start", self.program.display()))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = stdout.zip(stderr).context("its output is piped")?;
        let (compared, said) = tokio::try_join!(read(stdout, progress), read_all(stderr))?;
        child.wait().await.context("waiting for the load test")?;
        compared.ok_or_else(|| anyhow!("{}", reason(&said)))
    }

    fn address_flags(&self) -> impl Iterator<Item = String> {
        let flags = self.addresses.iter();
        flags.flat_map(|(flag, url)| [flag.clone(), url.clone()])
    }
}

fn addresses(page: String, sources: &PerSource<String>) -> Vec<(String, String)> {
    let sources = sources.iter();
    let sources = sources.map(|(source, url)| (format!("--{source}-url"), url.clone()));
    [("--page-url".to_owned(), page)]
        .into_iter()
        .chain(sources)
        .collect()
}

/// Reads what the load test writes, up to its results; none if it ends without any.
async fn read(stdout: impl AsyncRead + Unpin, progress: impl Fn(Progress)) -> Result<Option<Compared>> {
    let mut lines = BufReader::new(stdout).lines();
    let mut compared = None;
    while let Some(line) = lines.next_line().await.context("reading from the load test")? {
        match serde_json::from_str(&line) {
            Ok(Line::Moved(moved)) => progress(moved),
            Ok(Line::Done { results, how }) => compared = Some(Compared::new(&results, how)),
            Err(error) => {
                bail!("the load test writes what the lab does not know ({error}); build both with scripts/up")
            }
        }
    }
    Ok(compared)
}

async fn read_all(mut stderr: impl AsyncRead + Unpin) -> Result<String> {
    let mut text = String::new();
    let read = stderr.read_to_string(&mut text).await;
    read.context("reading from the load test")?;
    Ok(text)
}

/// Why it ended without a result: its last words.
fn reason(said: &str) -> &str {
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    last.map_or("it said nothing", |line| line.trim_start_matches("loadtest: "))
}

/// Deletes the accounts that a load test left behind which was killed outright, or could not reach accounts any more.
///
/// Only where none can be under way: when the stack has just been started.
pub(crate) async fn delete_leftovers(sources: &SourceClient) -> Result<()> {
    for account in sources.all_accounts().await? {
        // Nobody else's, whatever it is called.
        if account.description.starts_with(DESCRIPTION) {
            sources.delete_account(account.id).await?;
        }
    }
    Ok(())
}
