//! What tests of the sources share. A test of one source lies with the source.
//!
//! - [`Running`] is a source that a test starts.
//! - [`tests_of_a_source`] makes the tests that every source has to pass, out of a [`Source`].
//! - [`tests_of_account_data`] makes those of a source that keeps data for accounts, out of its [`AccountData`]: each account
//!   keeps its own data, in whatever order and however often the events arrive (rule 24). [`Accounts`] is a stand-in for the
//!   accounts service: an outbox and its relay, and nothing else.
//! - [`histories`] are random histories, for a source's [`Store`](histories::Store) without a broker.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "tests: what goes wrong fails them"
)]

mod accounts;
pub mod conditions;
pub mod histories;
pub mod incarnations;
pub mod lives;
mod running;
pub mod sources;

pub use accounts::{Accounts, delete_stream, delete_subscription};
pub use running::{Instance, Published, Running, Service, header, revision, version};
pub use sources::{Change, Source};

use reqwest::Response;

/// A source that keeps data for accounts.
#[expect(async_fn_in_trait, reason = "the tests run on one thread")]
pub trait AccountData: Service {
    /// The event of a [`write`](Self::write).
    const WRITTEN: &str;
    /// The event of the end of an account's data.
    const DELETED: &str;

    /// Where the account's data is read.
    fn path(account: i64) -> String;

    /// Sends what adds to the account's data.
    async fn add(&self, account: i64) -> Response;

    /// Fails unless the account has this much data. At most one is written to an account.
    async fn assert_written(&self, account: i64, count: usize);

    /// Adds to the account's data, and expects that this is acknowledged.
    async fn write(&self, account: i64) {
        assert_eq!(self.add(account).await.status(), 201);
    }

    /// Fails unless the account gets no new data, because it ended.
    async fn assert_refused(&self, account: i64) {
        let response = self.add(account).await;
        assert_eq!(response.status(), 409);
        let problem: serde_json::Value = response.json().await.unwrap();
        assert_eq!(problem["type"], "/problems/account-deleted");
    }

    /// What is answered about the account's data; "not modified" if it has the entity tag.
    async fn answer(&self, account: i64, held: Option<&str>) -> Response {
        match held {
            Some(etag) => self.get_if_none_match(&Self::path(account), etag).await,
            None => self.get(&Self::path(account)).await,
        }
    }
}

/// Makes the tests that every source has to pass.
#[macro_export]
macro_rules! tests_of_a_source {
    ($service:ty) => {
        $crate::make_tests! { $service, conditions:
            a_change_is_made_to_a_version_that_is_named_and_to_no_other
            a_star_changes_what_exists_and_an_absence_is_not_found_whatever_is_named
            a_condition_that_cannot_be_read_is_refused_and_changes_nothing
            a_renewed_incarnation_has_none_of_the_versions_of_before
            of_two_writers_who_name_the_same_version_exactly_one_wins
            what_if_none_match_names_is_neither_changed_nor_deleted
            if_match_holds_for_readers_and_is_evaluated_first
            every_answer_says_to_caches_that_it_is_to_be_asked_about
        }
        $crate::make_tests! { $service, sources:
            what_was_written_survives_a_restart_and_a_renewed_incarnation_is_another
            injected_latency_is_felt_by_readers_alone_and_always_named
            a_clock_that_is_set_back_on_purpose_dates_what_is_announced
        }
    };
}

/// Makes the tests of a source that keeps data for accounts.
#[macro_export]
macro_rules! tests_of_account_data {
    ($service:ty) => {
        $crate::make_tests! { $service, incarnations:
            after_a_reset_the_id_of_a_deleted_account_is_a_new_ones
            after_a_reset_a_new_account_does_not_inherit_from_a_live_one
            a_creation_applied_again_neither_revives_nor_deletes
            what_was_written_before_its_account_had_an_event_is_kept
            what_an_ended_incarnation_says_late_changes_nothing
            after_a_restore_from_a_backup_accounts_keep_theirs_and_the_undeleted_live
        }
        $crate::make_tests! { $service, lives:
            a_replay_deletes_nothing_where_the_newer_accounts_were_applied_first
            a_replay_deletes_nothing_where_nothing_was_applied_before
            a_replay_deletes_nothing_that_was_written_before_there_was_a_subscription
            a_stream_that_is_made_anew_deletes_nothing
            what_is_written_when_an_account_had_ended_is_the_next_ones
            an_account_whose_creation_was_missed_does_not_inherit
            an_account_that_was_restored_from_a_backup_keeps_what_it_has
            of_a_program_of_before_there_were_lives_a_replay_deletes_nothing_either
        }
    };
}

/// Turns a module's functions into tests of a service.
#[doc(hidden)]
#[macro_export]
macro_rules! make_tests {
    ($service:ty, $module:ident: $($name:ident)*) => {
        $(#[tokio::test]
        async fn $name() {
            $crate::$module::$name::<$service>().await;
        })*
    };
}
