//! The account that is written to: made when it is needed, renamed again and again, deleted at the end.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::{Client, Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use url::Url;

/// How long a write may take.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);

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
    /// What it must show.
    pub(crate) name: String,
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
}

#[derive(Deserialize)]
struct Created {
    id: u64,
}

impl Accounts {
    pub(crate) fn new(client: Client, url: Url) -> Self {
        Self { client, url }
    }

    /// Renames the account; makes one first, if there is none or it is gone.
    pub(crate) async fn change(&self, account: &mut Option<Account>) -> Result<Change, reqwest::Error> {
        let known = match account.as_mut() {
            Some(account) => account,
            None => account.insert(self.create().await?),
        };
        known.changes += 1;
        let name = format!("canary {}", known.changes);
        let id = known.id;
        let answer = self.send(Method::PATCH, &path(id), Some(&name)).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            // Whoever deleted it, or the whole database: the next change has another one.
            *account = None;
        }
        answer.error_for_status()?;
        Ok(Change {
            account: id,
            name,
            acknowledged: Timestamp::now(),
            since: Instant::now(),
        })
    }

    pub(crate) async fn delete(&self, account: &Account) -> Result<(), reqwest::Error> {
        let answer = self.send(Method::DELETE, &path(account.id), None).await?;
        answer.error_for_status().map(drop)
    }

    async fn create(&self) -> Result<Account, reqwest::Error> {
        let answer = self.send(Method::POST, "accounts", Some("canary")).await?;
        let Created { id } = answer.error_for_status()?.json().await?;
        Ok(Account { id, changes: 0 })
    }

    async fn send(&self, method: Method, path: &str, name: Option<&str>) -> Result<Response, reqwest::Error> {
        let request = self
            .client
            .request(method, address(&self.url, path))
            .timeout(WRITTEN_WITHIN);
        match name {
            Some(name) => request.json(&json!({ "name": name })).send().await,
            None => request.send().await,
        }
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
