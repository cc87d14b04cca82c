//! Random histories of an account, of the stream and of this database: what was acknowledged stays, and nobody inherits.

use std::collections::BTreeSet;
use std::path::Path;

use event_bus::lives::EntityEvent;
use event_bus::{Nonce, Place};
use group_commit::{Connection, Database, params};
use jiff::Timestamp;
use source_service::Follower;
use source_tests::histories;

use super::{MIGRATIONS, Store};
use crate::error::Error;
use crate::sample::{AccountId, EndpointId, ResponseMs, Sample, State, StatusCode, UnixMs};
use crate::window::{Frame, Window};

const ACCOUNT: AccountId = AccountId(1);

fn now() -> Timestamp {
    "2026-03-01T10:07:30Z".parse().unwrap()
}

impl histories::Store for Store {
    async fn open(path: &Path) -> Self {
        Self::open(path).await
    }

    async fn begin(&self, end: Place) {
        Follower::begin(self, end).await.unwrap();
    }

    async fn apply(&self, event: EntityEvent) {
        Follower::apply(self, ACCOUNT.0, event).await.unwrap();
    }

    /// A sample of the endpoint whose id is the life.
    async fn write(&self, life: u64) -> bool {
        let sample = Sample {
            at: UnixMs(now().as_millisecond()),
            state: State::Up,
            status_code: StatusCode::parse(Some(200)).unwrap(),
            response_ms: ResponseMs::parse(Some(1)).unwrap(),
        };
        let endpoint = EndpointId::parse(Some(life.cast_signed())).unwrap();
        let batch = [(endpoint, sample)].into_iter().collect();
        match self.record(ACCOUNT, |_| true, batch).await {
            Ok(_) => true,
            Err(Error::AccountDeleted) => false,
            Err(error) => panic!("{error}"),
        }
    }

    async fn present(&self) -> BTreeSet<u64> {
        let frame = Frame::holding(now(), Window::Hour);
        let summarised = self.summarise(ACCOUNT, frame).await.unwrap();
        let endpoints = summarised.endpoints.iter();
        endpoints.map(|(id, _)| id.get().cast_unsigned()).collect()
    }

    async fn life(&self) -> Option<Nonce> {
        self.known(ACCOUNT).await.unwrap().owner.life()
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

/// A database as the service left it before there were lives: account 1 has a sample, and had an event.
async fn database_of_before(path: &Path) {
    let database = Database::open(path, &MIGRATIONS[..5]).unwrap();
    let at = now().as_millisecond();
    let lay = move |c: &Connection<'_>| {
        c.batch_execute(
            "INSERT INTO incarnations_heard (incarnation) VALUES ('00000000000000000000000000000001');
             INSERT INTO accounts (account_id, revision, heard_in) VALUES (1, 1, 1);
             INSERT INTO endpoints (account_id, endpoint_id, unpacked) VALUES (1, 1, 1)",
        )?;
        c.execute("INSERT INTO samples VALUES (1, 1, ?1, 'up', 200, 1)", params![at])?;
        Ok::<_, group_commit::Error>(())
    };
    database.write(lay).await.unwrap();
}
