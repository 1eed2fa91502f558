-- Transactions that are wanted, each once by its cause. `account` and `nonce` are the reservation
-- in force, `tx_hash` the last transaction signed for it, `mined_*` where one of them is mined.
CREATE TABLE executor_intents (
    sequence   bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    cause      text PRIMARY KEY,
    network    text NOT NULL,
    sender     text NOT NULL CHECK (sender IN ('relayer', 'solver')),
    call_to    bytea NOT NULL CHECK (length(call_to) = 20),
    call_data  bytea NOT NULL,
    call_value numeric(78) NOT NULL CHECK (call_value >= 0),
    purpose    text NOT NULL,
    subject    text NOT NULL,
    deadline   timestamptz,
    state      text NOT NULL CHECK (state IN ('queued', 'signed', 'sent', 'repriced', 'mined',
        'final', 'failed', 'refused', 'withdrawn')),
    problem    text,
    -- A queued intent is looked at from `due_at` on, which grows with `tries` in vain.
    due_at     timestamptz NOT NULL,
    tries      integer NOT NULL DEFAULT 0,
    account    bytea CHECK (length(account) = 20),
    nonce      bigint CHECK (nonce >= 0),
    tx_hash    bytea CHECK (length(tx_hash) = 32),
    mined_hash   bytea CHECK (length(mined_hash) = 32),
    block_number bigint,
    block_hash   bytea CHECK (length(block_hash) = 32),
    succeeded    boolean,
    created_at timestamptz NOT NULL,
    moved_at   timestamptz NOT NULL,
    CHECK ((state IN ('queued', 'refused', 'withdrawn')) = (nonce IS NULL)),
    CHECK (num_nulls(account, nonce, tx_hash) IN (0, 3)),
    CHECK (num_nulls(mined_hash, block_number, block_hash, succeeded) IN (0, 4)),
    CHECK ((state IN ('mined', 'final', 'failed')) = (block_number IS NOT NULL))
);
CREATE INDEX executor_intents_queued
    ON executor_intents (network, sender, due_at) WHERE state = 'queued';
CREATE INDEX executor_intents_in_flight ON executor_intents (network, sender)
    WHERE state IN ('signed', 'sent', 'repriced', 'mined');

-- Which intent a nonce was reserved for, append only: no nonce is ever given to two intents.
CREATE TABLE executor_nonces (
    network     text NOT NULL,
    account     bytea NOT NULL CHECK (length(account) = 20),
    nonce       bigint NOT NULL CHECK (nonce >= 0),
    cause       text NOT NULL REFERENCES executor_intents,
    reserved_at timestamptz NOT NULL,
    PRIMARY KEY (network, account, nonce),
    UNIQUE (network, account, nonce, cause)
);
CREATE TRIGGER executor_nonces_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON executor_nonces FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Every transaction that was signed, append only. `head` is the newest block at that time; `fee`
-- and `tip` are per unit of gas, in the smallest native unit.
CREATE TABLE executor_attempts (
    attempt_number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cause     text NOT NULL,
    network   text NOT NULL,
    account   bytea NOT NULL,
    nonce     bigint NOT NULL,
    tx_hash   bytea NOT NULL CHECK (length(tx_hash) = 32),
    raw       bytea NOT NULL,
    gas       bigint NOT NULL,
    fee       numeric(78) NOT NULL,
    tip       numeric(78) NOT NULL,
    head      bigint NOT NULL,
    signed_at timestamptz NOT NULL,
    UNIQUE (network, tx_hash),
    FOREIGN KEY (network, account, nonce, cause)
        REFERENCES executor_nonces (network, account, nonce, cause)
);
CREATE INDEX executor_attempts_by_cause ON executor_attempts (cause, attempt_number);
CREATE TRIGGER executor_attempts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON executor_attempts FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Nonces that somebody else's transaction used up, with the block that proves it; append only.
CREATE TABLE executor_replacements (
    network      text NOT NULL,
    account      bytea NOT NULL,
    nonce        bigint NOT NULL,
    cause        text NOT NULL,
    tx_hash      bytea NOT NULL CHECK (length(tx_hash) = 32),
    block_number bigint NOT NULL,
    block_hash   bytea NOT NULL CHECK (length(block_hash) = 32),
    found_at     timestamptz NOT NULL,
    PRIMARY KEY (network, account, nonce),
    FOREIGN KEY (network, account, nonce, cause)
        REFERENCES executor_nonces (network, account, nonce, cause)
);
CREATE TRIGGER executor_replacements_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON executor_replacements FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What each sending account had of the native coin when it was last looked at.
CREATE TABLE executor_funds (
    network text NOT NULL,
    sender  text NOT NULL CHECK (sender IN ('relayer', 'solver')),
    account bytea NOT NULL CHECK (length(account) = 20),
    balance numeric(78) NOT NULL,
    enough  boolean NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (network, sender)
);
