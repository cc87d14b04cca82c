//! Random histories of an account, of the stream and of this database: what was acknowledged stays, and nobody inherits.

use std::collections::BTreeSet;
use std::path::Path;

use event_bus::lives::EntityEvent;
use event_bus::{Nonce, Place};
use group_commit::{Connection, Database};
use source_service::Follower;
use source_tests::histories;

use super::{MIGRATIONS, Store};
use crate::endpoint::{AccountId, EndpointUrl, Name, NewEndpoint};
use crate::error::Error;

const ACCOUNT: AccountId = AccountId(1);

impl histories::Store for Store {
    async fn open(path: &Path) -> Self {
        Self::new(Database::open(path, MIGRATIONS).unwrap())
    }

    async fn begin(&self, end: Place) {
        Follower::begin(self, end).await.unwrap();
    }

    async fn apply(&self, event: EntityEvent) {
        Follower::apply(self, ACCOUNT.0, event).await.unwrap();
    }

    async fn write(&self, life: u64) -> bool {
        let new = NewEndpoint {
            name: Name::parse(life.to_string()).unwrap(),
            url: EndpointUrl::parse("https://example.org/").unwrap(),
        };
        match self.add_endpoint(ACCOUNT, |_| true, new).await {
            Ok(_) => true,
            Err(Error::AccountDeleted) => false,
            Err(error) => panic!("{error}"),
        }
    }

    async fn present(&self) -> BTreeSet<u64> {
        let listed = self.list_endpoints(ACCOUNT, |_| false).await.unwrap();
        let endpoints = listed.list.unwrap().endpoints;
        endpoints
            .iter()
            .map(|endpoint| endpoint.name.as_str().parse().unwrap())
            .collect()
    }

    async fn life(&self) -> Option<Nonce> {
        self.list_endpoints(ACCOUNT, |_| true).await.unwrap().life
    }
}

#[test]
fn what_was_acknowledged_stays_and_nobody_inherits() {
    histories::what_was_acknowledged_stays_and_nobody_inherits::<Store>();
}

#[tokio::test]
async fn a_database_of_before_goes_on_and_learns_whose_its_data_is() {
    histories::a_database_of_before_goes_on_and_learns_whose_its_data_is::<Store>(database_of_before).await;
}

/// A database as the service left it before there were lives: account 1 has an endpoint, and had an event.
async fn database_of_before(path: &Path) {
    let database = Database::open(path, &MIGRATIONS[..4]).unwrap();
    let lay = |c: &Connection<'_>| {
        c.batch_execute(
            "INSERT INTO incarnations_heard (incarnation) VALUES ('00000000000000000000000000000001');
             INSERT INTO accounts (id, revision, heard_in) VALUES (1, 1, 1);
             INSERT INTO endpoints (account_id, name, url, created_at, updated_at)
             VALUES (1, '1', 'https://example.org/', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z')",
        )?;
        Ok::<_, group_commit::Error>(())
    };
    database.write(lay).await.unwrap();
}
