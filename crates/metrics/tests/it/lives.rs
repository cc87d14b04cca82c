//! Whose samples are whose, in whatever order, and however often, it is heard which accounts there were.

use crate::accounts::{Accounts, delete_stream, delete_subscription};
use crate::app::{TestApp, sample};
use crate::deletion::{refused_as_deleted, rows_left};

async fn write(app: &TestApp, account: i64) {
    app.record(account, &[sample(1, 1, 1)]).await;
}

async fn assert_written(app: &TestApp, account: i64, count: usize) {
    let answer = app.metrics(account, "7d").await;
    let samples = answer["endpoints"][0]["samples"].as_u64().unwrap_or_default();
    assert_eq!(samples, count as u64, "{account}: {answer}");
    assert_eq!(rows_left(app, account), i64::try_from(count).unwrap());
}

/// Whose the account's samples are, as the answer says, be it the whole one or "not modified".
async fn life_of(app: &TestApp, account: i64) -> Option<String> {
    let path = format!("/accounts/{account}/metrics?window=7d");
    let whole = app.get(&path).await;
    let etag = whole.headers()["etag"].to_str().unwrap();
    let same = app.get_if_none_match(&path, etag).await;
    assert_eq!((whole.status().as_u16(), same.status().as_u16()), (200, 304));
    let life = whole.headers().get("account-life");
    assert_eq!(life, same.headers().get("account-life"));
    life.map(|life| life.to_str().unwrap().to_owned())
}

/// Accounts 1 to 3 were created, and after a reset once more. Then this service's database was reset.
async fn after_two_resets() -> (TestApp, Accounts) {
    let app = TestApp::spawn().await;
    let first = Accounts::start(&app.nats).await;
    for account in 1..=3 {
        first.announce("created", account).await;
    }
    first.heard_by(&app).await;
    let accounts = Accounts::start(&app.nats).await;
    for account in 1..=3 {
        accounts.announce("created", account).await;
    }
    accounts.heard_by(&app).await;
    let app = app.respawn_reset().await;
    (app, accounts)
}

#[tokio::test]
async fn a_replay_deletes_nothing_where_the_newer_accounts_were_heard_first() {
    let (app, accounts) = after_two_resets().await;
    for account in 1..=3 {
        accounts.announce("updated", account).await;
    }
    accounts.heard_by(&app).await;
    for account in 1..=3 {
        write(&app, account).await;
    }
    for _ in 0..2 {
        delete_subscription(&app).await;
        accounts.heard_by(&app).await;
        for account in 1..=3 {
            assert_written(&app, account, 1).await;
        }
    }
    accounts.announce("deleted", 2).await;
    accounts.heard_by(&app).await;
    assert_written(&app, 2, 0).await;
    refused_as_deleted(&app, 2).await;
    assert_written(&app, 3, 1).await;
}

#[tokio::test]
async fn a_replay_deletes_nothing_where_nothing_was_heard_before() {
    let (app, accounts) = after_two_resets().await;
    accounts.heard_by(&app).await;
    for account in 1..=3 {
        write(&app, account).await;
    }
    for _ in 0..2 {
        delete_subscription(&app).await;
        accounts.heard_by(&app).await;
        for account in 1..=3 {
            assert_written(&app, account, 1).await;
            assert_eq!(
                life_of(&app, account).await,
                Some(accounts.life(account).to_string())
            );
        }
    }
    accounts.announce("deleted", 2).await;
    accounts.heard_by(&app).await;
    assert_written(&app, 2, 0).await;
    refused_as_deleted(&app, 2).await;
}

#[tokio::test]
async fn a_replay_deletes_nothing_that_was_written_before_there_was_a_subscription() {
    let (app, accounts) = after_two_resets().await;
    let mut app = app;
    app.nats.kill();
    let mut app = app.respawn_reset().await;
    for account in 1..=3 {
        write(&app, account).await;
    }
    app.nats.restart();
    accounts.heard_by(&app).await;
    delete_subscription(&app).await;
    accounts.heard_by(&app).await;
    for account in 1..=3 {
        assert_written(&app, account, 1).await;
        assert_eq!(
            life_of(&app, account).await,
            Some(accounts.life(account).to_string())
        );
    }
}

#[tokio::test]
async fn a_stream_that_is_made_anew_deletes_nothing() {
    let (app, accounts) = after_two_resets().await;
    for account in 1..=3 {
        write(&app, account).await;
    }
    delete_stream(&app).await;
    for account in 1..=3 {
        accounts.announce("updated", account).await;
    }
    accounts.heard_by(&app).await;
    delete_subscription(&app).await;
    accounts.heard_by(&app).await;
    for account in 1..=3 {
        assert_written(&app, account, 1).await;
    }
    accounts.announce("deleted", 1).await;
    accounts.heard_by(&app).await;
    assert_written(&app, 1, 0).await;
    refused_as_deleted(&app, 1).await;
}

#[tokio::test]
async fn what_is_written_when_an_account_had_ended_is_the_next_ones() {
    let mut app = TestApp::spawn().await;
    let ended = Accounts::start(&app.nats).await;
    ended.announce("created", 1).await;
    ended.announce("deleted", 1).await;
    ended.heard_by(&app).await;
    app.nats.kill();
    let mut app = app.respawn_reset().await;
    // By the owner of an account that was created after a reset, and that nobody has heard of yet.
    write(&app, 1).await;
    app.nats.restart();
    ended.heard_by(&app).await;
    refused_as_deleted(&app, 1).await;
    assert_written(&app, 1, 1).await;
    assert_eq!(life_of(&app, 1).await, None);

    let accounts = Accounts::start(&app.nats).await;
    accounts.announce("created", 1).await;
    accounts.heard_by(&app).await;
    assert_written(&app, 1, 1).await;
    assert_eq!(life_of(&app, 1).await, Some(accounts.life(1).to_string()));
    delete_subscription(&app).await;
    accounts.heard_by(&app).await;
    assert_written(&app, 1, 1).await;
}

#[tokio::test]
async fn an_account_whose_creation_was_missed_does_not_inherit() {
    for what in ["updated", "deleted"] {
        let app = TestApp::spawn().await;
        let ended = Accounts::start(&app.nats).await;
        ended.announce("created", 1).await;
        ended.heard_by(&app).await;
        write(&app, 1).await;
        let accounts = Accounts::start(&app.nats).await;
        accounts.announce(what, 1).await;
        accounts.heard_by(&app).await;
        assert_written(&app, 1, 0).await;
        assert_eq!(life_of(&app, 1).await, Some(accounts.life(1).to_string()));
        ended.say_late(&app.nats, "updated", 1).await;
        accounts.heard_by(&app).await;
        assert_eq!(
            life_of(&app, 1).await,
            Some(accounts.life(1).to_string()),
            "too late"
        );
    }
}

#[tokio::test]
async fn an_account_that_was_restored_from_a_backup_keeps_what_it_has() {
    let app = TestApp::spawn().await;
    let accounts = Accounts::start(&app.nats).await;
    accounts.announce("created", 1).await;
    accounts.announce("created", 2).await;
    accounts.announce("deleted", 2).await;
    accounts.heard_by(&app).await;
    write(&app, 1).await;
    accounts.restore().await;
    // What the backup had not published yet may be a creation.
    accounts.announce("updated", 2).await;
    accounts.announce("created", 1).await;
    accounts.heard_by(&app).await;
    assert_written(&app, 1, 1).await;
    write(&app, 2).await;
    delete_subscription(&app).await;
    accounts.heard_by(&app).await;
    assert_written(&app, 1, 1).await;
    assert_written(&app, 2, 1).await;
}

#[tokio::test]
async fn of_a_program_of_before_there_were_lives_a_replay_deletes_nothing_either() {
    let app = TestApp::spawn().await;
    let ended = Accounts::start_of_before(&app.nats).await;
    ended.announce("created", 1).await;
    ended.heard_by(&app).await;
    let accounts = Accounts::start_of_before(&app.nats).await;
    accounts.announce("created", 1).await;
    accounts.heard_by(&app).await;
    let app = app.respawn_reset().await;
    accounts.announce("updated", 1).await;
    accounts.heard_by(&app).await;
    write(&app, 1).await;
    delete_subscription(&app).await;
    accounts.heard_by(&app).await;
    assert_written(&app, 1, 1).await;
    assert_eq!(life_of(&app, 1).await, None);

    let of_now = Accounts::start(&app.nats).await;
    of_now.announce("created", 1).await;
    of_now.heard_by(&app).await;
    assert_written(&app, 1, 0).await;
    assert_eq!(life_of(&app, 1).await, Some(of_now.life(1).to_string()));
}
