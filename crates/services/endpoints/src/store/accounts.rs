//! What is known of accounts: their versions, and what their events said.
//!
//! What an event of the accounts service changes: [`event_bus::lives`].

use event_bus::lives::{Entities, EntityEvent};
use event_bus::outbox;
use group_commit::{Connection, params};

use crate::endpoint::AccountId;
use crate::error::Error;
use crate::events;

/// The table of accounts.
pub(super) const ACCOUNTS: Entities = Entities {
    table: "accounts",
    key: "id",
};

/// Applies an event of the accounts service. Deletes the endpoints of an account that has ended, or of another account that had
/// this id: after a reset of the accounts service, its ids begin again at 1.
pub(super) fn apply(c: &Connection<'_>, account: AccountId, event: &EntityEvent) -> Result<(), Error> {
    let Some(effect) = ACCOUNTS.known(c, account.0)?.owner.apply(c, event)? else {
        return Ok(());
    };
    if effect.forget {
        forget(c, account)?;
    }
    Ok(ACCOUNTS.apply(c, account.0, effect)?)
}

fn forget(c: &Connection<'_>, account: AccountId) -> Result<(), Error> {
    let removed = c.execute("DELETE FROM endpoints WHERE account_id = ?1", params![account.0])?;
    ACCOUNTS.end(c, account.0)?;
    // An account that had none is answered as before, so nothing is bumped; but it is remembered.
    if removed > 0 {
        let version = ACCOUNTS.bump(c, account.0)?;
        outbox::announce(c, &events::deleted(account, version))?;
    }
    Ok(())
}
