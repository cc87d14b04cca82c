//! The outbox on PostgreSQL.

use specification::check;
use specification::postgres::Outbox;
use specification::postgres::cases::CASES;
use specification::postgres::rule::Rule;

exhaust! {
    Outbox;
    transactions_that_commit_in_any_order_break_nothing = "commits",
    a_numbering_that_reaches_its_limit_breaks_nothing = "limited",
    a_relay_that_is_killed_breaks_nothing = "killed",
    two_relays_on_one_database_break_nothing = "two",
    a_renewed_incarnation_breaks_nothing = "renewed",
    a_relay_that_is_stopped_breaks_nothing = "stopped",
}
