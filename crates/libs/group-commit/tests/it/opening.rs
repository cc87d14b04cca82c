//! Files that are not as this program would have made them.

use group_commit::{Database, Error};
use rusqlite::Connection;

use crate::SCHEMA;

#[test]
fn a_newer_database_is_refused_with_both_versions_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let before = std::fs::read(&path).unwrap();
    let refused = Database::open(&path, SCHEMA).unwrap_err();
    assert!(
        matches!(refused, Error::Newer { found: 99, known: 1 }),
        "{refused:?}"
    );
    let told = refused.to_string();
    assert!(told.contains("99") && told.contains("versions up to 1"), "{told}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_in_a_folder_that_is_not_there_cannot_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let refused = Database::open(&folder.path().join("missing/notes.db"), SCHEMA).unwrap_err();
    assert!(matches!(refused, Error::CannotOpen(_)), "{refused:?}");
}
