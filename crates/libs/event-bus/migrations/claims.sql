-- The nonce of the mutation that wrote the row: it tells this history from another one that has the same sequence, as after
-- a restore from a backup.
ALTER TABLE outbox ADD COLUMN nonce INTEGER NOT NULL DEFAULT 0;

-- The nonce of the last sequence given out.
ALTER TABLE outbox_state ADD COLUMN nonce INTEGER NOT NULL DEFAULT 0;

-- The claims that this database's relays minted, oldest first. A claim on the stream that is not here was minted by another
-- database, or by this one in a time that a restore undid.
CREATE TABLE claims (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    claim INTEGER NOT NULL UNIQUE,     -- 64 random bits
    former INTEGER NOT NULL DEFAULT 0  -- 1: minted under an incarnation before this one
) STRICT;
