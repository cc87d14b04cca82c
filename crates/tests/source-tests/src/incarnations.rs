//! What becomes of accounts' data when the accounts service is reset, and its ids begin again.

#![expect(missing_docs, reason = "a test's name says what it shows")]

use test_support::event_type;

use crate::{AccountData, Accounts, Running, revision};

async fn assert_written_at<S: AccountData>(app: &Running<S>, account: i64, at: u64, count: usize) {
    app.assert_written(account, count).await;
    assert_eq!(revision(&app.answer(account, None).await), at);
}

pub async fn after_a_reset_the_id_of_a_deleted_account_is_a_new_ones<S: AccountData>() {
    let app = Running::<S>::spawn().await;
    let accounts = Accounts::start(&app).await;
    accounts.announce("created", 1).await;
    app.write(1).await;
    accounts.announce("deleted", 1).await;
    accounts.applied_by(&app).await;
    app.assert_refused(1).await;

    let reset = Accounts::start(&app).await;
    reset.announce("created", 1).await;
    reset.applied_by(&app).await;
    assert_written_at(&app, 1, 2, 0).await;
    app.write(1).await;
    assert_written_at(&app, 1, 3, 1).await;
    reset.announce("deleted", 1).await;
    reset.applied_by(&app).await;
    app.assert_refused(1).await;
}

pub async fn after_a_reset_a_new_account_does_not_inherit_from_a_live_one<S: AccountData>() {
    let app = Running::<S>::spawn().await;
    let accounts = Accounts::start(&app).await;
    for account in [1, 2] {
        accounts.announce("created", account).await;
    }
    accounts.applied_by(&app).await;
    app.write(1).await;

    let reset = Accounts::start(&app).await;
    for account in [2, 1] {
        reset.announce("created", account).await;
    }
    reset.applied_by(&app).await;
    assert_written_at(&app, 1, 2, 0).await;
    assert_written_at(&app, 2, 0, 0).await;
    app.write(1).await;
    let received = app.changes(3).await;
    let told: Vec<_> = received
        .iter()
        .map(|change| (change.attribute("ce-type"), change.attribute("ce-revision")))
        .collect();
    let (written, deleted) = (event_type(S::WRITTEN), event_type(S::DELETED));
    assert_eq!(told, [(written.as_str(), "1"), (&deleted, "2"), (&written, "3")]);
}

pub async fn a_creation_applied_again_neither_revives_nor_deletes<S: AccountData>() {
    let app = Running::<S>::spawn().await;
    let accounts = Accounts::start(&app).await;
    accounts.announce("created", 1).await;
    accounts.announce("created", 2).await;
    app.write(2).await;
    accounts.announce("deleted", 1).await;
    accounts.announce("created", 1).await;
    accounts.announce("updated", 1).await;
    accounts.announce("created", 2).await;
    accounts.applied_by(&app).await;
    app.assert_refused(1).await;
    assert_written_at(&app, 2, 1, 1).await;
}

pub async fn what_was_written_before_its_account_had_an_event_is_kept<S: AccountData>() {
    let app = Running::<S>::spawn().await;
    let accounts = Accounts::start(&app).await;
    app.write(1).await;
    app.write(2).await;
    accounts.announce("created", 1).await;
    accounts.announce("updated", 2).await;
    accounts.applied_by(&app).await;
    assert_written_at(&app, 1, 1, 1).await;
    assert_written_at(&app, 2, 1, 1).await;

    let reset = Accounts::start(&app).await;
    for account in [1, 2] {
        reset.announce("created", account).await;
    }
    reset.applied_by(&app).await;
    assert_written_at(&app, 1, 2, 0).await;
    assert_written_at(&app, 2, 2, 0).await;
}

pub async fn what_an_ended_incarnation_says_late_changes_nothing<S: AccountData>() {
    let app = Running::<S>::spawn().await;
    let ended = Accounts::start(&app).await;
    ended.announce("created", 1).await;
    ended.applied_by(&app).await;
    let accounts = Accounts::start(&app).await;
    accounts.announce("created", 1).await;
    accounts.applied_by(&app).await;
    app.write(1).await;
    for what in ["created", "updated", "deleted"] {
        ended.say_late(&app, what, 1).await;
        accounts.applied_by(&app).await;
        assert_written_at(&app, 1, 1, 1).await;
    }
    app.write(1).await;
}

pub async fn after_a_restore_from_a_backup_accounts_keep_theirs_and_the_undeleted_live<S: AccountData>() {
    let app = Running::<S>::spawn().await;
    let accounts = Accounts::start_of_before(&app).await;
    for account in [1, 2] {
        accounts.announce("created", account).await;
    }
    accounts.applied_by(&app).await;
    app.write(1).await;
    accounts.announce("deleted", 2).await;
    accounts.applied_by(&app).await;
    accounts.restore().await;
    for account in [1, 2] {
        accounts.announce("updated", account).await;
    }
    accounts.applied_by(&app).await;
    assert_written_at(&app, 1, 1, 1).await;
    app.write(2).await;

    // An update may overtake its account's creation, where that was handled at the second attempt only.
    accounts.announce("created", 1).await;
    accounts.applied_by(&app).await;
    assert_written_at(&app, 1, 2, 0).await;
}
