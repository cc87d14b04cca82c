-- What was committed and is not yet acknowledged by the broker. A row is written in the transaction of the mutation it
-- announces, published in the order of its sequence, and deleted once acknowledged: what is still here is still owed.
CREATE TABLE outbox (
    sequence INTEGER PRIMARY KEY, -- contiguous per incarnation; a gap that a hearer sees is a loss
    kind TEXT NOT NULL,           -- the event's type
    entity TEXT NOT NULL,         -- what it is about
    revision INTEGER NOT NULL,    -- the entity's, after the mutation
    time TEXT NOT NULL,           -- RFC 3339; stamped just before the commit
    data TEXT NOT NULL,           -- a JSON object
    fragment TEXT,                -- the entity's whole new state as JSON, where it is cheap and small
    traceparent TEXT              -- the writer's trace, so that the publish belongs to it
) STRICT;

-- The counter behind the sequence. Not a row id: those follow the order of insertion, and are reused.
CREATE TABLE outbox_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    incarnation TEXT NOT NULL,    -- minted with the database: a reset database must not pass for the old one
    sequence INTEGER NOT NULL     -- the last one given out
) STRICT;

INSERT INTO outbox_state (id, incarnation, sequence) VALUES (1, lower(hex(randomblob(16))), 0);
