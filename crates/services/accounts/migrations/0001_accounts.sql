-- Accounts. A deleted one leaves its row: the revision survives deletion, so that whoever holds an older answer can be
-- told that it is older. AUTOINCREMENT: an id that was given out once is never given out again.
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    revision INTEGER NOT NULL,      -- bumped by every change of what is answered
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at TEXT NOT NULL,       -- RFC 3339, UTC, milliseconds
    updated_at TEXT NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0
) STRICT;
