//! Whose data is whose, in whatever order, and however often, the events of accounts arrive.

#![expect(missing_docs, reason = "a test's name says what it shows")]

use crate::{AccountData, Accounts, Running, delete_stream, delete_subscription};

/// The life that the answer names, be it the whole one or "not modified".
pub async fn life_of<S: AccountData>(app: &Running<S>, account: i64) -> Option<String> {
    let whole = app.answer(account, None).await;
    let etag = whole.headers()["etag"].to_str().unwrap();
    let same = app.answer(account, Some(etag)).await;
    assert_eq!((whole.status().as_u16(), same.status().as_u16()), (200, 304));
    let life = whole.headers().get("account-life");
    assert_eq!(life, same.headers().get("account-life"));
    life.map(|life| life.to_str().unwrap().to_owned())
}

/// Accounts 1 to 3 were created, and after a reset once more. Then this service's database was reset.
async fn after_two_resets<S: AccountData>() -> (Running<S>, Accounts) {
    let app = Running::<S>::spawn().await;
    let first = Accounts::start(&app).await;
    announce_each(&first, "created").await;
    first.applied_by(&app).await;
    let accounts = Accounts::start(&app).await;
    announce_each(&accounts, "created").await;
    accounts.applied_by(&app).await;
    let app = app.respawn_reset().await;
    (app, accounts)
}

async fn announce_each(accounts: &Accounts, what: &str) {
    for account in 1..=3 {
        accounts.announce(what, account).await;
    }
}

async fn write_to_each<S: AccountData>(app: &Running<S>) {
    for account in 1..=3 {
        app.write(account).await;
    }
}

async fn assert_each_kept<S: AccountData>(app: &Running<S>) {
    for account in 1..=3 {
        app.assert_written(account, 1).await;
    }
}

/// Fails unless the answers about each account name the life that the accounts service gave it.
async fn assert_each_lives<S: AccountData>(app: &Running<S>, accounts: &Accounts) {
    for account in 1..=3 {
        let life = accounts.life(account).to_string();
        assert_eq!(life_of(app, account).await, Some(life));
    }
}

/// Replays the stream to the service, and waits until it has handled all of it.
async fn replay<S: AccountData>(app: &Running<S>, accounts: &Accounts) {
    delete_subscription(app).await;
    accounts.applied_by(app).await;
}

pub async fn a_replay_deletes_nothing_where_the_newer_accounts_were_applied_first<S: AccountData>() {
    let (app, accounts) = after_two_resets::<S>().await;
    announce_each(&accounts, "updated").await;
    accounts.applied_by(&app).await;
    write_to_each(&app).await;
    for _ in 0..2 {
        replay(&app, &accounts).await;
        assert_each_kept(&app).await;
    }
    accounts.announce("deleted", 2).await;
    accounts.applied_by(&app).await;
    app.assert_written(2, 0).await;
    app.assert_refused(2).await;
    app.assert_written(3, 1).await;
}

pub async fn a_replay_deletes_nothing_where_nothing_was_applied_before<S: AccountData>() {
    let (app, accounts) = after_two_resets::<S>().await;
    accounts.applied_by(&app).await;
    write_to_each(&app).await;
    for _ in 0..2 {
        replay(&app, &accounts).await;
        assert_each_kept(&app).await;
        assert_each_lives(&app, &accounts).await;
    }
    accounts.announce("deleted", 2).await;
    accounts.applied_by(&app).await;
    app.assert_written(2, 0).await;
    app.assert_refused(2).await;
}

pub async fn a_replay_deletes_nothing_that_was_written_before_there_was_a_subscription<S: AccountData>() {
    let (mut app, accounts) = after_two_resets::<S>().await;
    app.nats.kill();
    let mut app = app.respawn_reset().await;
    write_to_each(&app).await;
    app.nats.restart();
    accounts.applied_by(&app).await;
    replay(&app, &accounts).await;
    assert_each_kept(&app).await;
    assert_each_lives(&app, &accounts).await;
}

pub async fn a_stream_that_is_made_anew_deletes_nothing<S: AccountData>() {
    let (app, accounts) = after_two_resets::<S>().await;
    write_to_each(&app).await;
    delete_stream(&app).await;
    announce_each(&accounts, "updated").await;
    accounts.applied_by(&app).await;
    replay(&app, &accounts).await;
    assert_each_kept(&app).await;
    accounts.announce("deleted", 1).await;
    accounts.applied_by(&app).await;
    app.assert_written(1, 0).await;
    app.assert_refused(1).await;
}

pub async fn what_is_written_when_an_account_had_ended_is_the_next_ones<S: AccountData>() {
    let mut app = Running::<S>::spawn().await;
    let ended = Accounts::start(&app).await;
    ended.announce("created", 1).await;
    ended.announce("deleted", 1).await;
    ended.applied_by(&app).await;
    app.nats.kill();
    let mut app = app.respawn_reset().await;
    // By the owner of an account that was created after a reset, and that no event has named yet.
    app.write(1).await;
    app.nats.restart();
    ended.applied_by(&app).await;
    app.assert_refused(1).await;
    app.assert_written(1, 1).await;
    assert_eq!(life_of(&app, 1).await, None);

    let accounts = Accounts::start(&app).await;
    accounts.announce("created", 1).await;
    accounts.applied_by(&app).await;
    app.assert_written(1, 1).await;
    assert_eq!(life_of(&app, 1).await, Some(accounts.life(1).to_string()));
    replay(&app, &accounts).await;
    app.assert_written(1, 1).await;
}

pub async fn an_account_whose_creation_was_missed_does_not_inherit<S: AccountData>() {
    for what in ["updated", "deleted"] {
        let app = Running::<S>::spawn().await;
        let ended = Accounts::start(&app).await;
        ended.announce("created", 1).await;
        ended.applied_by(&app).await;
        app.write(1).await;
        let accounts = Accounts::start(&app).await;
        accounts.announce(what, 1).await;
        accounts.applied_by(&app).await;
        app.assert_written(1, 0).await;
        assert_eq!(life_of(&app, 1).await, Some(accounts.life(1).to_string()));
        ended.say_late(&app, "updated", 1).await;
        accounts.applied_by(&app).await;
        assert_eq!(
            life_of(&app, 1).await,
            Some(accounts.life(1).to_string()),
            "too late"
        );
    }
}

pub async fn an_account_that_was_restored_from_a_backup_keeps_what_it_has<S: AccountData>() {
    let app = Running::<S>::spawn().await;
    let accounts = Accounts::start(&app).await;
    accounts.announce("created", 1).await;
    accounts.announce("created", 2).await;
    accounts.announce("deleted", 2).await;
    accounts.applied_by(&app).await;
    app.write(1).await;
    accounts.restore().await;
    // What the backup had not published yet may be a creation.
    accounts.announce("updated", 2).await;
    accounts.announce("created", 1).await;
    accounts.applied_by(&app).await;
    app.assert_written(1, 1).await;
    app.write(2).await;
    replay(&app, &accounts).await;
    app.assert_written(1, 1).await;
    app.assert_written(2, 1).await;
}

pub async fn of_a_program_of_before_there_were_lives_a_replay_deletes_nothing_either<S: AccountData>() {
    let app = Running::<S>::spawn().await;
    let ended = Accounts::start_of_before(&app).await;
    ended.announce("created", 1).await;
    ended.applied_by(&app).await;
    let accounts = Accounts::start_of_before(&app).await;
    accounts.announce("created", 1).await;
    accounts.applied_by(&app).await;
    let app = app.respawn_reset().await;
    accounts.announce("updated", 1).await;
    accounts.applied_by(&app).await;
    app.write(1).await;
    replay(&app, &accounts).await;
    app.assert_written(1, 1).await;
    assert_eq!(life_of(&app, 1).await, None);

    let of_now = Accounts::start(&app).await;
    of_now.announce("created", 1).await;
    of_now.applied_by(&app).await;
    app.assert_written(1, 0).await;
    assert_eq!(life_of(&app, 1).await, Some(of_now.life(1).to_string()));
}
