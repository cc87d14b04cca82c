// The composer of the documentation's examples: a page per account, of one source, which counts its changes.

use fresh_cache::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const ACCOUNTS: SourceId = SourceId(0);

/// The revision that the source has of every account.
#[derive(Clone, Default)]
struct Accounts(Arc<AtomicU64>);

impl Accounts {
    fn version(&self) -> Version {
        Version { incarnation: 1, revision: self.0.load(Ordering::SeqCst) , nonce: 0 }
    }

    fn change(&self) -> Version {
        self.0.fetch_add(1, Ordering::SeqCst);
        self.version()
    }
}

impl Composer for Accounts {
    type Key = u64;
    type Body = String;
    type Page = String;
    type Error = std::io::Error;

    fn dependencies(&self, account: &u64) -> Vec<(SourceId, u64)> {
        vec![(ACCOUNTS, *account)]
    }

    async fn fetch(
        &self,
        _account: &u64,
        _source: SourceId,
        known: Option<&Part<String>>,
    ) -> Result<Fetched<String>, Self::Error> {
        let version = self.version();
        if known.is_some_and(|part| part.version == version) {
            return Ok(Fetched::NotModified { claim: Some(Claim::default()), holds_for: None });
        }
        let body = format!("revision {}", version.revision);
        Ok(Fetched::New { version, claim: Some(Claim::default()), body, holds_for: None })
    }

    fn render(&self, account: &u64, parts: &[PartState<String>]) -> String {
        let body = parts[0].part().map_or("out of order", |part| &part.body);
        format!("account {account}: {body}")
    }

    fn weight(&self, page: &String) -> u32 {
        u32::try_from(page.len()).unwrap_or(u32::MAX)
    }

    fn pages_of(&self, _source: SourceId, account: u64) -> Vec<u64> {
        vec![account]
    }

    fn read_carried(&self, _account: &u64, _source: SourceId, carried: &Carried) -> Option<String> {
        String::from_utf8(carried.data.to_vec()).ok()
    }
}
