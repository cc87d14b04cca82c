//! The protocol of freshness.

use specification::cases::CASES;
use specification::rule::Rule;
use specification::{Specification, check};

exhaust! {
    Specification;
    a_start_breaks_nothing = "start",
    lost_words_break_nothing = "lost",
    a_paused_reader_breaks_nothing = "pauses",
    two_accounts_break_nothing = "accounts",
    a_deletion_breaks_nothing = "deletion",
    readers_that_give_up_break_nothing = "early",
    readers_that_accept_an_age_break_nothing = "age",
    a_restart_breaks_nothing = "restart",
    a_rollback_breaks_nothing = "rollback",
    a_lost_tail_breaks_nothing = "tail",
    a_recreated_stream_breaks_nothing = "recreated",
    two_processes_on_one_file_break_nothing = "file",
    a_copy_breaks_nothing = "copy",
    a_copy_and_a_lost_message_break_nothing = "twins",
}
