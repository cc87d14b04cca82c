// The loader of the documentation's examples: a page per account, of one source, which counts its changes.

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

impl Loader for Accounts {
    type Key = u64;
    type Entity = u64;
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
        _entity: &u64,
        known: Option<&Fragment<String>>,
    ) -> Result<Fetched<String>, Self::Error> {
        let version = self.version();
        if known.is_some_and(|fragment| fragment.version == version) {
            return Ok(Fetched::NotModified { claim: Some(Claim::default()), valid_for: None });
        }
        let body = format!("revision {}", version.revision);
        Ok(Fetched::New { version, claim: Some(Claim::default()), body, valid_for: None })
    }

    fn compose(&self, account: &u64, fragments: &[FragmentState<String>]) -> String {
        let body = fragments[0].fragment().map_or("out of order", |fragment| &fragment.body);
        format!("account {account}: {body}")
    }

    fn weight(&self, page: &String) -> u32 {
        u32::try_from(page.len()).unwrap_or(u32::MAX)
    }

    fn pages_of(&self, _source: SourceId, account: &u64) -> Vec<u64> {
        vec![*account]
    }

    fn read_event(&self, _account: &u64, _source: SourceId, _entity: &u64, event: &EventFragment) -> Option<String> {
        String::from_utf8(event.data.to_vec()).ok()
    }
}
