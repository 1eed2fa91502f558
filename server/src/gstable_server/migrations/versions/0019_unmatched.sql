-- Money that came in by an unusual payment, or by a transfer to an address or a contract of ours:
-- one row each, whatever becomes of it.
CREATE TABLE inflows (
    sequence     bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    inflow_id    text PRIMARY KEY,
    source       text NOT NULL CHECK (source IN ('payment', 'transfer', 'coin')),
    network      text NOT NULL,
    mode         text NOT NULL CHECK (mode IN ('live', 'test')),
    -- 20 zero bytes for the network's own coin; null where only the book's name is known.
    token        bytea CHECK (length(token) = 20),
    token_id     text NOT NULL,
    -- Null for a token that is not accepted: its amounts are worth nothing to us.
    decimals     smallint,
    amount       numeric(78) NOT NULL CHECK (amount >= 0),
    sender       bytea CHECK (length(sender) = 20),
    receiver     bytea NOT NULL CHECK (length(receiver) = 20),
    tx_hash      bytea CHECK (length(tx_hash) = 32),
    log_position integer,
    block_number bigint,
    arrived_at   timestamptz NOT NULL,
    final        boolean NOT NULL,
    -- Why it is here: a set, since one payment can be late and short and in another token.
    flags        text[] NOT NULL,
    session_id   text REFERENCES sessions,
    payment_id   text REFERENCES payments,
    merchant_id  text REFERENCES merchants,
    state        text NOT NULL CHECK (state IN ('expected', 'open', 'resolving', 'resolved',
        'dismissed', 'gone')),
    how          text CHECK (how IN ('collected', 'accepted', 'refunded', 'returned')),
    CHECK ((state = 'resolved') = (how IS NOT NULL)),
    -- What left a deposit address of it again.
    collected    numeric(78) NOT NULL DEFAULT 0,
    returned     numeric(78) NOT NULL DEFAULT 0,
    CHECK (collected + returned <= amount),
    -- What is under way: the refund, or the executor's name of the return.
    refund_id    text REFERENCES refunds,
    cause        text,
    seen_at      timestamptz NOT NULL,
    resolved_at  timestamptz,
    -- When it was last asked whether what is under way came to nothing.
    looked_at    timestamptz,
    UNIQUE (network, tx_hash, log_position)
);
CREATE UNIQUE INDEX inflows_of_coins ON inflows (session_id, network) WHERE source = 'coin';
CREATE UNIQUE INDEX inflows_of_payments ON inflows (payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX inflows_by_session ON inflows (session_id);
CREATE INDEX inflows_resolving ON inflows (looked_at NULLS FIRST, sequence)
    WHERE state = 'resolving';
CREATE INDEX inflows_waiting ON inflows (sequence DESC) WHERE state IN ('open', 'resolving');

-- What went back from deposit addresses, one row per log of the collector; whether it stands.
CREATE TABLE inflow_returns (
    network      text NOT NULL,
    tx_hash      bytea NOT NULL CHECK (length(tx_hash) = 32),
    log_position integer NOT NULL,
    session_id   text NOT NULL REFERENCES deposits,
    token        bytea NOT NULL CHECK (length(token) = 20),
    amount       numeric(78) NOT NULL,
    stands       boolean NOT NULL,
    PRIMARY KEY (network, tx_hash, log_position)
);
CREATE INDEX inflow_returns_by_place ON inflow_returns (session_id, network, token);

-- Who did what about it, when and why, append only. Without an act: what the chain or a session
-- did by itself.
CREATE TABLE inflow_decisions (
    sequence  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    inflow_id text NOT NULL REFERENCES inflows,
    act       text CHECK (act IN ('accept', 'refund', 'sweep', 'dismiss')),
    actor     text NOT NULL,
    reason    text NOT NULL,
    before    text NOT NULL,
    after     text NOT NULL,
    at        timestamptz NOT NULL
);
CREATE INDEX inflow_decisions_by_inflow ON inflow_decisions (inflow_id, sequence);
CREATE TRIGGER inflow_decisions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON inflow_decisions FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
