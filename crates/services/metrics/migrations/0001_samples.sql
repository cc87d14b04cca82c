-- The incarnations of the accounts service, numbered in the order they were first heard in: so a word of one that has ended
-- can be told from the first word of a new one. They are random, and say nothing of their order.
CREATE TABLE incarnations_heard (
    number INTEGER PRIMARY KEY,
    incarnation TEXT NOT NULL UNIQUE
) STRICT;

-- One row per account that was ever written to or heard of. It outlives the account: the revision
-- survives deletion, so that whoever holds an older answer can be told that it is older, and late samples are refused.
CREATE TABLE accounts (
    account_id INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL,          -- bumped by every change of what is answered
    deleted INTEGER NOT NULL DEFAULT 0,
    heard_in INTEGER REFERENCES incarnations_heard (number) -- where the id means this account; NULL: nothing heard of it yet
) STRICT;

-- The endpoints that an account has samples of: what a summary walks over, and what bounds its size.
CREATE TABLE endpoints (
    account_id INTEGER NOT NULL,
    endpoint_id INTEGER NOT NULL,
    PRIMARY KEY (account_id, endpoint_id)
) STRICT, WITHOUT ROWID;

-- Every sample, as it was recorded. Without row ids the rows themselves lie in the order of the key, so that a window of
-- an endpoint is one contiguous range on disk, read without a second look-up. The key also makes a repeated batch harmless.
CREATE TABLE samples (
    account_id INTEGER NOT NULL,
    endpoint_id INTEGER NOT NULL,
    at INTEGER NOT NULL,                -- unix time, milliseconds
    state TEXT NOT NULL CHECK (state IN ('up', 'degraded', 'down')),
    status_code INTEGER NOT NULL,       -- 0 where no answer came
    response_ms INTEGER NOT NULL,
    PRIMARY KEY (account_id, endpoint_id, at)
) STRICT, WITHOUT ROWID;
