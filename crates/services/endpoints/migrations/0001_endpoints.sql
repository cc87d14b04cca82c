-- The incarnations of the accounts service, numbered in the order they were first heard in: so a word of one that has ended
-- can be told from the first word of a new one. They are random, and say nothing of their order.
CREATE TABLE incarnations_heard (
    number INTEGER PRIMARY KEY,
    incarnation TEXT NOT NULL UNIQUE
) STRICT;

-- What is known of an account. The row outlives the endpoints and the account itself: whoever holds an older answer can be
-- told that it is older, and an account whose deletion was heard gets no new endpoints.
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY,         -- given out by the accounts service
    revision INTEGER NOT NULL,      -- bumped by every change of what is answered about the account
    deleted INTEGER NOT NULL DEFAULT 0,
    heard_in INTEGER REFERENCES incarnations_heard (number) -- where the id means this account; NULL: nothing heard of it yet
) STRICT;

-- Endpoints. AUTOINCREMENT: samples are kept under these ids elsewhere, so an id is never given out again.
CREATE TABLE endpoints (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    url TEXT NOT NULL,              -- as the URL parser wrote it
    created_at TEXT NOT NULL,       -- RFC 3339, UTC, milliseconds
    updated_at TEXT NOT NULL
) STRICT;

-- The one way endpoints are looked for; an index ends with the row's id, so this is their order too.
CREATE INDEX endpoints_of_account ON endpoints (account_id);
