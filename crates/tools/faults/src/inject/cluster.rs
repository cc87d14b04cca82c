//! Faults of a broker that is three servers.

use std::time::Duration;

use tokio::time::sleep;

use super::Injector;
use crate::schedule::Place;

impl Injector<'_> {
    /// The others choose another leader, and go on.
    pub(super) async fn kill_leader(&self, lasts: Duration) {
        let mut broker = self.stack.broker.lock().await;
        let leader = broker.leader().await;
        tokio::task::block_in_place(|| broker.kill_one(leader));
        sleep(lasts).await;
        tokio::task::block_in_place(|| broker.restart_one(leader));
    }

    /// The last one takes connections, stores nothing and hands nothing on.
    pub(super) async fn lose_quorum(&self, lasts: Duration) {
        let mut broker = self.stack.broker.lock().await;
        let leader = broker.leader().await;
        tokio::task::block_in_place(|| {
            broker.kill_one(leader);
            broker.kill_one(leader + 1);
        });
        self.broken_for(Place::Broker, lasts).await;
        tokio::task::block_in_place(|| {
            broker.restart_one(leader);
            broker.restart_one(leader + 1);
        });
    }

    /// As an update that is in a hurry: it does not wait until a server has caught up before it stops the next.
    pub(super) async fn roll_broker(&self, lasts: Duration) {
        let mut broker = self.stack.broker.lock().await;
        let servers = broker.copies();
        for number in 0..servers {
            tokio::task::block_in_place(|| {
                broker.kill_one(number);
                broker.restart_one(number);
            });
            sleep(lasts / u32::try_from(servers).unwrap_or(u32::MAX)).await;
        }
    }
}
