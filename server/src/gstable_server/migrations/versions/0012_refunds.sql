-- One row a refund that was prepared: the one transfer that the merchant's wallet is to make, and
-- the transfer of the chain that proves it.
CREATE TABLE refunds (
    sequence      bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    refund_id     text PRIMARY KEY,
    session_id    text NOT NULL REFERENCES sessions,
    payment_id    text NOT NULL REFERENCES payments,
    network       text NOT NULL,
    chain_id      bigint NOT NULL,
    token_id      text NOT NULL,
    token         bytea NOT NULL CHECK (length(token) = 20),
    decimals      smallint NOT NULL,
    -- The wallet that was paid, and the one that gets money back.
    sender        bytea NOT NULL CHECK (length(sender) = 20),
    receiver      bytea NOT NULL CHECK (length(receiver) = 20),
    -- In the token's smallest units, and the same in Micro-USD, rounded down.
    token_amount  numeric(78) NOT NULL CHECK (token_amount > 0),
    amount        numeric(78) NOT NULL,
    reason        text,
    state         text NOT NULL
        CHECK (state IN ('prepared', 'seen', 'completed', 'expired', 'cancelled')),
    expires_at    timestamptz NOT NULL,
    -- Until then its transfer is looked for; null when it is not any more.
    watched_until timestamptz,
    -- The log that proves it.
    tx_hash       bytea CHECK (length(tx_hash) = 32),
    log_position  integer,
    created_at    timestamptz NOT NULL,
    completed_at  timestamptz,
    CHECK ((tx_hash IS NULL) = (log_position IS NULL)),
    CHECK ((tx_hash IS NOT NULL) = (state IN ('seen', 'completed')))
);
CREATE INDEX refunds_by_session ON refunds (session_id);
CREATE INDEX refunds_by_payment ON refunds (payment_id);
-- The database itself refuses that one transfer proves two refunds.
CREATE UNIQUE INDEX refunds_proven_once ON refunds (network, tx_hash, log_position);
CREATE INDEX refunds_to_prove ON refunds (network, sender, token, receiver, token_amount)
    WHERE tx_hash IS NULL AND watched_until IS NOT NULL;
CREATE INDEX refunds_due_to_expire ON refunds (expires_at) WHERE state = 'prepared';
CREATE INDEX refunds_due_to_unwatch ON refunds (watched_until)
    WHERE state IN ('expired', 'cancelled');
