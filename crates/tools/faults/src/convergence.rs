//! After the faults: how long until every page is right again, and whether everything acknowledged is still there.

mod truth;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::Value;
use stack::sources::SourceClient;
use stack::{Preferences, Window};
use tokio::time::{Instant, sleep};

use crate::check::{Rule, Violation};
use crate::client::{Answer, READ_WITHIN, Reader, Wanted};
use crate::history::{Outcome, Replica, Subject};
use crate::under_test::{NAIVE, StackUnderTest};
use crate::world::World;

/// Between two looks at the pages that are not right yet.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long a source may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// How many requests of a look are under way at once.
const SIDE_BY_SIDE: usize = 8;

/// Looks at the stack while nobody writes.
#[derive(Debug)]
pub struct Inspector<'run> {
    /// What is looked at.
    pub stack: &'run StackUnderTest,
    /// What there is to look at.
    pub world: &'run World,
    /// By whom.
    pub reader: &'run Reader,
    sources: SourceClient,
}

/// What a look at all pages found.
#[derive(Debug, Default)]
pub struct Convergence {
    /// How long each replica under test took, from the end of the last repair.
    pub took: Vec<Duration>,
    /// How many pages each of them had to get right.
    pub pages: usize,
    /// How many pages of the control were wrong when those under test had all become right.
    pub naive_wrong: usize,
    /// What did not become right.
    pub violations: Vec<Violation>,
}

type Page = (u64, Window);
type Read = Result<Answer, String>;
/// A page as it should be; none if there is no such account.
type Right = Option<Value>;

impl<'run> Inspector<'run> {
    /// Looks at this stack.
    pub fn new(stack: &'run StackUnderTest, world: &'run World, reader: &'run Reader) -> Self {
        Self {
            stack,
            world,
            reader,
            sources: SourceClient::with_patience(stack.source_urls.clone(), ANSWERS_WITHIN),
        }
    }

    /// Waits until every page of every replica under test is whole and equal to what its sources answer (I5); and comes from the
    /// cache, or the cache has not recovered. A strategy that asks the sources at every read has no such state to get to.
    pub async fn converge(&self, within: Duration) -> Convergence {
        let began = Instant::now();
        let pages = self.pages();
        let mut convergence = Convergence {
            pages: pages.len(),
            ..Convergence::default()
        };
        let mut pending: BTreeMap<(Replica, Page), String> = BTreeMap::new();
        for replica in self.under_test() {
            pending.extend(
                pages
                    .iter()
                    .map(|page| ((replica, *page), "not looked at".to_owned())),
            );
        }
        while !pending.is_empty() && began.elapsed() < within {
            let wanted: Vec<_> = pending.keys().copied().collect();
            let answers = self.read_all(&wanted, false).await;
            let looked = began.elapsed();
            let right = self.truth(&pages).await;
            for (key, answer) in answers {
                let hits = self.stack.hits[key.0.index];
                match answer
                    .and_then(|answer| well_served(answer, hits))
                    .and_then(|answer| differs(&answer, &right[&key.1]))
                {
                    Ok(()) => pending.remove(&key),
                    Err(trouble) => pending.insert(key, trouble),
                };
            }
            let done = |replica: &Replica| pending.keys().all(|(late, _)| late != replica);
            let looked_at: BTreeSet<_> = wanted.iter().map(|(replica, _)| *replica).collect();
            convergence
                .took
                .extend(looked_at.iter().filter(|replica| done(replica)).map(|_| looked));
            sleep(LOOK_AGAIN).await;
        }
        convergence.violations = if pending.is_empty() {
            self.look_once_more(&pages).await
        } else {
            vec![late(&pending, within)]
        };
        convergence.naive_wrong = self.naive_wrong().await;
        convergence
    }

    /// How many pages the control has from its cache that are not what the sources answer.
    pub async fn naive_wrong(&self) -> usize {
        let pages = self.pages();
        let wanted: Vec<_> = pages.iter().map(|page| (NAIVE, *page)).collect();
        let answers = self.read_all(&wanted, false).await;
        let right = self.truth(&pages).await;
        let wrong = answers.iter().filter(|((_, page), answer)| {
            let answered = answer.as_ref().ok();
            answered.is_some_and(|answer| differs(answer, &right[page]).is_err())
        });
        wrong.count()
    }

    /// Nothing that was right may have become wrong, and a composition on demand must be the same.
    async fn look_once_more(&self, pages: &[Page]) -> Vec<Violation> {
        let mut violations = Vec::new();
        for no_cache in [false, true] {
            let all = self
                .under_test()
                .flat_map(|replica| pages.iter().map(move |page| (replica, *page)));
            let mut doubtful: Vec<_> = all.collect();
            let mut troubles = Vec::new();
            // Twice: a window may turn between a look at a page and one at its source.
            for _ in 0..2 {
                let answers = self.read_all(&doubtful, no_cache).await;
                let right = self.truth(pages).await;
                let judged = answers.into_iter().filter_map(|(key, answer)| {
                    let trouble = answer.and_then(|answer| differs(&answer, &right[&key.1]));
                    Some((key, trouble.err()?))
                });
                troubles = judged.collect();
                doubtful = troubles.iter().map(|(key, _)| *key).collect();
            }
            violations.extend(troubles.into_iter().map(|((replica, _), trouble)| Violation {
                rule: Rule::NotConverged,
                subject: Subject::Page,
                evidence: vec![format!("{replica} had been right, and then: {trouble}")],
            }));
        }
        violations
    }

    fn under_test(&self) -> impl Iterator<Item = Replica> {
        let replicas = self.stack.replicas.iter().map(|(replica, _)| *replica);
        replicas.filter(|replica| replica.subject == Subject::Page)
    }

    async fn read_all(&self, wanted: &[(Replica, Page)], no_cache: bool) -> Vec<((Replica, Page), Read)> {
        let reads = wanted.iter().map(|(replica, page)| async move {
            ((*replica, *page), self.read(*replica, *page, no_cache).await)
        });
        futures::stream::iter(reads)
            .buffer_unordered(SIDE_BY_SIDE)
            .collect()
            .await
    }

    async fn read(&self, replica: Replica, (account, window): Page, no_cache: bool) -> Read {
        let url = self.stack.replicas.iter().find(|(known, _)| *known == replica);
        let url = url.map(|(_, url)| url.as_str()).unwrap_or_default();
        let wanted = Wanted {
            account,
            window,
            token: None,
            preferences: Preferences {
                no_cache,
                // An answer that is marked because its reader did not wait says nothing of what is right.
                wait: Some(READ_WITHIN),
                ..Preferences::default()
            },
        };
        let answer = self.reader.read(replica, url, &wanted).await;
        answer.map_err(|error| format!("account {account} ({}): {error:?}", window.name()))
    }

    fn pages(&self) -> Vec<Page> {
        let accounts = self.world.accounts();
        let pages = accounts
            .into_iter()
            .flat_map(|account| Window::ALL.map(|window| (account, window)));
        pages.collect()
    }
}

/// Whether an answer is one of a replica that nothing is wrong with any more, whose strategy `hits` or does not.
fn well_served(answer: Answer, hits: bool) -> Read {
    let response = &answer.response;
    if !response.unmarked() {
        Err(format!("marked: {response}"))
    } else if hits && response.outcome != Outcome::Hit {
        Err(format!("no hit: {response}"))
    } else {
        Ok(answer)
    }
}

fn differs(answer: &Answer, right: &Right) -> Result<(), String> {
    let status = answer.response.status;
    let Some(right) = right else {
        let told = || format!("there is no such account, and yet: {}", answer.response);
        return if status == 404 { Ok(()) } else { Err(told()) };
    };
    let shown: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if status == 200 && shown == *right {
        return Ok(());
    }
    Err(format!(
        "{}; its body: {shown}; right would be: {right}",
        answer.response
    ))
}

fn late(pending: &BTreeMap<(Replica, Page), String>, within: Duration) -> Violation {
    let told = format!(
        "{} pages were not right after {within:?}; some of them:",
        pending.len()
    );
    let some = pending
        .iter()
        .take(3)
        .map(|((replica, _), trouble)| format!("{replica}: {trouble}"));
    Violation {
        rule: Rule::NotConverged,
        subject: Subject::Page,
        evidence: std::iter::once(told).chain(some).collect(),
    }
}
