-- A random number drawn by each change: it tells this history of an account from another one that has the same revision, as
-- after a restore from a backup.
ALTER TABLE accounts ADD COLUMN nonce INTEGER NOT NULL DEFAULT 0;
