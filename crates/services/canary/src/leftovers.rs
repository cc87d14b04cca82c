//! Accounts of earlier canaries: one that is killed cannot delete its own.
//!
//! Canaries that run now have accounts with such names too. But they rename them again and again, so this looks twice.

use std::time::Duration;

use tokio::time::sleep;

use crate::account::{ANSWERED_WITHIN, Accounts, Listed};

/// The pause after a request that failed.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What this canary looks for, and how long it waits between the two looks.
#[derive(Debug)]
pub(crate) struct Leftovers {
    pub(crate) accounts: Accounts,
    /// What the names of this canary's own accounts begin with.
    pub(crate) own: String,
    /// How long a canary with the same settings takes at most from one rename to the next, if every request is answered in time.
    pub(crate) renamed_within: Duration,
}

impl Leftovers {
    /// Deletes the accounts of canaries that run no more.
    pub(crate) async fn delete(&self) {
        let earlier = self.until_listed().await;
        if earlier.is_empty() {
            return;
        }
        sleep(self.renamed_within + 2 * ANSWERED_WITHIN).await;
        let now = self.until_listed().await;
        for account in now.iter().filter(|account| earlier.contains(account)) {
            let Listed { id, name } = account;
            match self.accounts.delete(*id).await {
                Ok(()) => tracing::info!(id, name, "deleted the account of an earlier canary"),
                Err(error) => tracing::warn!(%error, id, name, "the account of an earlier canary stays"),
            }
        }
    }

    async fn until_listed(&self) -> Vec<Listed> {
        loop {
            let listed = self
                .accounts
                .list(|name| is_of_a_canary(name) && !name.starts_with(&self.own));
            match listed.await {
                Ok(accounts) => return accounts,
                Err(error) => tracing::debug!(%error, "accounts gives no list"),
            }
            sleep(ASKED_AGAIN_AFTER).await;
        }
    }
}

/// `canary`, the number of its run, and after the first rename a count.
fn is_of_a_canary(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("canary ") else {
        return false;
    };
    let (run, count) = rest.split_once(' ').unwrap_or((rest, "0"));
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    run.len() == 16 && run.bytes().all(is_hex) && count.parse::<u64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_with_another_name_is_no_canarys() {
        for name in ["canary 0123456789abcdef", "canary 0123456789abcdef 12"] {
            assert!(is_of_a_canary(name), "{name}");
        }
        for name in [
            "canary",
            "canary birds",
            "canary 0123456789abcde",
            "canary 0123456789abcdeg",
            "canary 0123456789abcdef of mine",
            "a canary 0123456789abcdef",
        ] {
            assert!(!is_of_a_canary(name), "{name}");
        }
    }
}
