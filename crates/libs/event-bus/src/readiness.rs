//! What a source answers to who asks whether it is ready.

use group_commit::{Database, Error};

use crate::{Broker, Publishing, outbox};

/// Ready while the database answers a read. Of the broker, and of writes to the database, it only says in words how they are.
///
/// A source that cannot write is ready: it answers reads, which is all that most requests want, and there is no other instance
/// that they could be sent to. Writes are refused one by one, with the reason.
///
/// A source without a broker is ready: it takes changes and answers from its database, and announces when the broker is back.
/// Its consumers stop trusting it by themselves; who sent readers away from it would only make an outage of two.
pub async fn readiness(database: Database, broker: Broker, publishing: Publishing) -> Result<String, String> {
    let read = database.read(outbox::incarnation);
    read.await.map_err(|error| match error {
        Error::Sqlite(cause) => format!("the database does not answer: {cause}"),
        // Named for what happened, and without the path that its cause may have.
        error => format!("the database does not answer: {error}"),
    })?;
    if publishing.is_refused() {
        return Err(
            "another instance publishes for this source from another database: this one refuses changes"
                .to_owned(),
        );
    }
    let unwritable = match database.writable() {
        Ok(()) => String::new(),
        Err(error) => format!("; writes are refused: {error}"),
    };
    let trouble = broker.trouble();
    if trouble.is_there() {
        return Ok(format!(
            "{trouble}; changes are announced once that is over{unwritable}"
        ));
    }
    Ok(format!("{trouble}{unwritable}"))
}
