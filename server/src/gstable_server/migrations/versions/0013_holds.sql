-- What we do with a session's hold, at its merchant's word or when its time is over.
CREATE TABLE hold_instructions (
    sequence       bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    instruction_id text PRIMARY KEY,
    session_id     text NOT NULL REFERENCES sessions,
    network        text NOT NULL,
    kind           text NOT NULL CHECK (kind IN ('capture', 'void', 'reclaim')),
    -- In the held token's smallest units.
    amount         numeric(78) NOT NULL CHECK (amount > 0),
    state          text NOT NULL
        CHECK (state IN ('requested', 'mined', 'done', 'failed', 'withdrawn')),
    attempt        integer NOT NULL,
    -- The executor's name of its last attempt.
    cause          text NOT NULL UNIQUE,
    tx_hash        bytea CHECK (length(tx_hash) = 32),
    created_at     timestamptz NOT NULL
);
CREATE INDEX hold_instructions_by_session ON hold_instructions (session_id);

-- What left a hold: one row per log, named by (network, transaction, position), whoever sent it.
CREATE TABLE hold_moves (
    name        text PRIMARY KEY,
    -- Null for a session that is not ours.
    session_id  text REFERENCES sessions,
    state       text NOT NULL CHECK (state IN ('seen', 'final', 'reverted', 'lost')),
    -- Where the ledger has it since the log last came into a block.
    account     text NOT NULL,
    times_mined integer NOT NULL,
    log         jsonb NOT NULL
);
CREATE INDEX hold_moves_by_session ON hold_moves (session_id);
