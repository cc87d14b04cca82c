-- The streams of the accounts service's events, numbered in the order they were first heard in: one that was deleted and made
-- anew is another one, and the broker's clock, by which it is told apart, may have been set back between the two.
CREATE TABLE streams_heard (
    number INTEGER PRIMARY KEY,
    created INTEGER NOT NULL UNIQUE -- unix time, nanoseconds
) STRICT;

-- Where the first of an incarnation's words that were heard stands. This is the order of incarnations: in which order they were
-- heard is turned round by a replay of the stream. NULL: it was last heard when places were not kept; by its number then.
ALTER TABLE incarnations_heard ADD COLUMN stream INTEGER REFERENCES streams_heard (number);
ALTER TABLE incarnations_heard ADD COLUMN place INTEGER;

-- Whose the data is: the nonce of the account's creation, which no other account of this id has. 0: it is not known.
ALTER TABLE accounts ADD COLUMN life INTEGER NOT NULL DEFAULT 0;

-- Up to which place the stream was past when the first of the data was written: no word up to there deletes it. NULL: not known.
ALTER TABLE accounts ADD COLUMN past_stream INTEGER REFERENCES streams_heard (number);
ALTER TABLE accounts ADD COLUMN past_place INTEGER;
