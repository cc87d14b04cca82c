-- A random number drawn by each change: it tells this history of an account from another one that has the same revision, as
-- after a restore from a backup.
ALTER TABLE accounts ADD COLUMN nonce INTEGER NOT NULL DEFAULT 0;
-- The nonce of the creation. A database that was reset gives ids out again; the life tells whose they are. 0 for accounts that
-- are older than this column.
ALTER TABLE accounts ADD COLUMN life INTEGER NOT NULL DEFAULT 0;
