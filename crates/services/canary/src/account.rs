//! The account that is written to: made when it is needed, renamed again and again, deleted at the end.
//!
//! A creation whose answer does not come may make an account all the same, at once or later. So the accounts of each run have
//! names of their own, by which they are found in the list.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep;
use url::Url;

/// How long a request may take.
pub(crate) const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// The pause between two looks for an account that may still be being made.
const LOOKED_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// The canary's own account.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) id: u64,
    /// How often it was renamed: each name is another one.
    changes: u64,
}

/// A change that the accounts service has acknowledged.
#[derive(Debug)]
pub(crate) struct Change {
    /// Whose page must show it.
    pub(crate) account: u64,
    /// Which revision of it the page must show, or a later one: a rename without an answer may be carried out after this one.
    pub(crate) revision: u64,
    /// When the writer was answered, by this host's clock: a page that claims to be complete beyond it must show the change.
    pub(crate) acknowledged: Timestamp,
    /// The same moment, to count from.
    pub(crate) since: Instant,
}

/// The accounts service, as far as it is needed here.
#[derive(Debug)]
pub(crate) struct Accounts {
    client: Client,
    url: Url,
    /// What the name of each account of this run begins with, and no other's.
    run: String,
    /// How many creations may have made an account that is not known here.
    unanswered: usize,
}

#[derive(Deserialize)]
struct Created {
    id: u64,
}

#[derive(Deserialize)]
struct Renamed {
    revision: u64,
}

#[derive(Deserialize)]
struct List {
    accounts: Vec<Listed>,
    next: Option<u64>,
}

/// An account as it is listed.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Listed {
    pub(crate) id: u64,
    pub(crate) name: String,
}

impl Accounts {
    pub(crate) fn new(client: Client, url: Url) -> Self {
        // The state is the random part.
        let run = RandomState::new().hash_one(Timestamp::now());
        Self {
            client,
            url,
            run: format!("canary {run:016x}"),
            unanswered: 0,
        }
    }

    /// What the name of each account of this run begins with.
    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    /// Renames the account; finds or makes one first, if there is none or it is gone.
    pub(crate) async fn change(&mut self, account: &mut Option<Account>) -> Result<Change, reqwest::Error> {
        let known = match account.as_mut() {
            Some(account) => account,
            None => account.insert(self.find_or_create().await?),
        };
        known.changes += 1;
        let name = format!("{} {}", self.run, known.changes);
        let id = known.id;
        let renaming = self.request(Method::PATCH, &path(id));
        let answer = renaming.json(&json!({ "name": name })).send().await?;
        if answer.status() == StatusCode::NOT_FOUND {
            // Whoever deleted it, or the whole database: the next change has another one.
            *account = None;
        }
        let Renamed { revision } = answer.error_for_status()?.json().await?;
        Ok(Change {
            account: id,
            revision,
            acknowledged: Timestamp::now(),
            since: Instant::now(),
        })
    }

    /// Deletes the account, and each that a creation without an answer made.
    ///
    /// Such an account may still be being made: this goes on looking until each is found, and without an end for one that was never made.
    pub(crate) async fn delete_all(&mut self, known: Option<Account>) -> Result<(), reqwest::Error> {
        if let Some(account) = known {
            self.delete(account.id).await?;
        }
        while self.unanswered > 0 {
            for id in self.list_own().await? {
                self.delete(id).await?;
                self.unanswered = self.unanswered.saturating_sub(1);
            }
            sleep(LOOKED_AGAIN_AFTER).await;
        }
        Ok(())
    }

    /// Deletes an account, if it is there.
    pub(crate) async fn delete(&self, id: u64) -> Result<(), reqwest::Error> {
        let answer = self.request(Method::DELETE, &path(id)).send().await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(());
        }
        answer.error_for_status().map(drop)
    }

    /// Takes what a creation without an answer made. If that is made only after this look, there is one account too many until the end.
    async fn find_or_create(&mut self) -> Result<Account, reqwest::Error> {
        if self.unanswered > 0
            && let Some(&id) = self.list_own().await?.first()
        {
            self.unanswered -= 1;
            return Ok(Account { id, changes: 0 });
        }
        let created = self.create().await;
        // Without a connection nothing was sent. Whatever else failed, the account may be there.
        if created.as_ref().is_err_and(|error| !error.is_connect()) {
            self.unanswered += 1;
        }
        created
    }

    async fn create(&self) -> Result<Account, reqwest::Error> {
        let creation = self.request(Method::POST, "accounts");
        let answer = creation.json(&json!({ "name": self.run })).send().await?;
        let Created { id } = answer.error_for_status()?.json().await?;
        Ok(Account { id, changes: 0 })
    }

    /// The accounts of this run that are there now.
    async fn list_own(&self) -> Result<Vec<u64>, reqwest::Error> {
        let own = self.list(|name| name.starts_with(&self.run)).await?;
        Ok(own.into_iter().map(|account| account.id).collect())
    }

    /// The accounts with such names that are there now.
    pub(crate) async fn list(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<Listed>, reqwest::Error> {
        let mut found = Vec::new();
        let mut after = Some(0);
        while let Some(last) = after {
            let listing = self.request(Method::GET, "accounts").query(&[("after", last)]);
            let list: List = listing.send().await?.error_for_status()?.json().await?;
            found.extend(list.accounts.into_iter().filter(|account| wanted(&account.name)));
            after = list.next;
        }
        Ok(found)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, address(&self.url, path));
        request.timeout(ANSWERED_WITHIN)
    }
}

/// The path of an account, at accounts and at page alike.
pub(crate) fn path(account: u64) -> String {
    format!("accounts/{account}")
}

/// A path below a root, which may have one of its own.
pub(crate) fn address(root: &Url, path: &str) -> Url {
    let mut url = root.clone();
    url.path_segments_mut()
        .expect("http addresses have paths")
        .pop_if_empty()
        .extend(path.split('/'));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_the_path_of_its_root() {
        for root in ["http://h:1/pages", "http://h:1/pages/"] {
            let root = root.parse().unwrap();
            assert_eq!(address(&root, &path(7)).as_str(), "http://h:1/pages/accounts/7");
        }
    }
}
