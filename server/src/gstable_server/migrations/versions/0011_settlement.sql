-- One row a payment that crosses to another network, named by the payment's log.
CREATE TABLE settlements (
    sequence     bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    -- network:transaction:position of the log, and the same in parts.
    payment      text PRIMARY KEY,
    network      text NOT NULL,
    tx_hash      bytea NOT NULL CHECK (length(tx_hash) = 32),
    log_position integer NOT NULL,
    session_key  bytea NOT NULL CHECK (length(session_key) = 32),
    rail         text NOT NULL CHECK (rail IN ('cctp', 'escrow')),
    -- The log as the block says that it was last mined in.
    log          jsonb NOT NULL,
    source       text NOT NULL CHECK (source IN ('seen', 'final', 'reorged', 'lost')),
    times_mined  integer NOT NULL,
    stage        text NOT NULL CHECK (stage IN ('crossing', 'delivered', 'completed',
        'interrupted', 'abandoned', 'returned')),
    progress_at  timestamptz NOT NULL,
    stalled_at   timestamptz,
    done         boolean NOT NULL,
    -- When the rail is asked for the next step; null while nothing is expected of it.
    due_at       timestamptz,
    -- Which worker asks the rail now, until when.
    leased_until timestamptz,
    -- Counts facts, so that a worker notices those that were heard while it asked.
    heard        integer NOT NULL DEFAULT 1,
    waits        integer NOT NULL,
    attempt      integer NOT NULL,
    cause        text,
    reason       text NOT NULL,
    started_at   timestamptz NOT NULL,
    moved_at     timestamptz NOT NULL,
    UNIQUE (network, tx_hash, log_position)
);
CREATE INDEX settlements_by_session ON settlements (session_key);
CREATE INDEX settlements_due ON settlements (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX settlements_by_cause ON settlements (cause) WHERE cause IS NOT NULL;
CREATE INDEX settlements_to_watch ON settlements (progress_at)
    WHERE stage = 'crossing' AND source = 'final' AND stalled_at IS NULL;

-- What else the logs say of crossings: deliveries, and money that left an escrow. Kept also when
-- no payment is known that they belong to, because networks are read apart.
CREATE TABLE settlement_legs (
    name         text PRIMARY KEY,
    session_key  bytea NOT NULL CHECK (length(session_key) = 32),
    log          jsonb NOT NULL,
    state        text NOT NULL CHECK (state IN ('seen', 'final', 'reorged', 'lost')),
    times_mined  integer NOT NULL,
    payment      text REFERENCES settlements,
    moved_at     timestamptz NOT NULL
);
CREATE INDEX settlement_legs_by_session ON settlement_legs (session_key);
