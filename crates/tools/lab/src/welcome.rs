//! What is said once the stack runs: where everything is, and a first walk.

use std::fmt;

use crate::parts::Stack;
use stack::ports::url;
use stack::seed::Seeded;
use stack::sources::AccountId;
use stack::{PerSource, Source};

/// The account of the walk: the one whose checks come most often.
const LIVELIEST: &str = "d33bs/upptime-curc";

/// The addresses, and commands that show a write becoming a fresh page.
#[derive(Debug)]
pub struct Welcome {
    pages: Vec<String>,
    sources: PerSource<String>,
    nats_port: u16,
    lab: String,
    traces: Option<String>,
    account: AccountId,
}

/// The account of the walk, also the one that the lab's page shows first.
pub fn account_of_the_walk(seeded: &Seeded) -> AccountId {
    seeded.accounts.get(LIVELIEST).map_or(1, |account| account.id)
}

impl Welcome {
    /// The welcome to a running stack.
    pub fn new(stack: &Stack, seeded: &Seeded) -> Self {
        Self {
            pages: stack.page_urls(),
            sources: stack.source_urls(),
            nats_port: stack.ports.nats,
            lab: url(stack.ports.lab),
            traces: stack.traces_url(),
            account: account_of_the_walk(seeded),
        }
    }
}

impl fmt::Display for Welcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sources,
            nats_port,
            lab,
            traces,
            account,
            ..
        } = self;
        let read = "curl -sS -D - -H 'accept: application/json'";
        writeln!(f, "Everything is up. Ctrl-C stops it.")?;
        writeln!(f, "  page       {}", self.pages.join("  "))?;
        let listed = sources
            .iter()
            .map(|(source, url)| format!("{:<9}  {url}", source.name()));
        writeln!(f, "  {}", listed.collect::<Vec<_>>().join("  "))?;
        writeln!(f, "  NATS       nats://127.0.0.1:{nats_port}")?;
        writeln!(f, "  lab        {lab}  see it, break it, watch it")?;
        if let Some(traces) = traces {
            writeln!(f, "  traces     {traces}  every page links its own")?;
        }
        writeln!(f)?;
        let Some(page) = self.pages.first() else {
            return Ok(());
        };
        writeln!(
            f,
            "Open {page}/ in a browser, or see in another terminal how a write becomes a fresh page:\n"
        )?;
        writeln!(
            f,
            "# read a page twice: the second answer says Cache-Status: page; hit"
        )?;
        writeln!(f, "{read} -o /dev/null {page}/accounts/{account}\n")?;
        writeln!(f, "# write")?;
        writeln!(
            f,
            "curl -sS -X PATCH {}/accounts/{account} -H 'content-type: application/json' -d '{{\"name\":\"renamed\"}}'\n",
            sources[Source::Accounts]
        )?;
        writeln!(
            f,
            "# read it again: the new name, and in Fresh-As-Of the moment up to which the page is complete"
        )?;
        write!(f, "{read} {page}/accounts/{account} | cut -c1-800")?;
        if let Some(other) = self.pages.get(1) {
            writeln!(
                f,
                "\n\n# the other replica has its own cache, and applied the same event"
            )?;
            write!(f, "{read} {other}/accounts/{account} | cut -c1-800")?;
        }
        Ok(())
    }
}
