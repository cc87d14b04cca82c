//! What a source answers to who asks whether it is ready.

use std::error::Error as _;

use group_commit::{Database, Error};

use crate::{Broker, Publishing, outbox};

/// Ready while the database answers a read. Of the broker it only says in words how it is.
///
/// A source without a broker is ready: it takes changes and answers from its database, and announces when the broker is back.
/// Its hearers stop trusting it by themselves; who sent readers away from it would only make an outage of two.
pub async fn readiness(database: Database, broker: Broker, publishing: Publishing) -> Result<String, String> {
    let read = database.read(|transaction| outbox::incarnation(transaction).map_err(Error::from));
    read.await.map_err(|error| {
        let cause = error.source().map(ToString::to_string);
        format!(
            "the database does not answer: {}",
            cause.unwrap_or_else(|| error.to_string())
        )
    })?;
    if publishing.is_refused() {
        return Err(
            "another instance publishes for this source from another database: this one takes no changes"
                .to_owned(),
        );
    }
    let trouble = broker.trouble();
    if trouble.is_there() {
        return Ok(format!("{trouble}; changes are announced when that is over"));
    }
    Ok(trouble.to_string())
}
