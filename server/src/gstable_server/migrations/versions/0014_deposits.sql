-- One row a session whose payer asked for an address: what the address commits to, never changed.
CREATE TABLE deposits (
    session_id          text PRIMARY KEY REFERENCES sessions,
    -- The collector contract, which has one address on every network.
    collector           bytea NOT NULL CHECK (length(collector) = 20),
    address             bytea NOT NULL UNIQUE CHECK (length(address) = 20),
    session_key         bytea NOT NULL CHECK (length(session_key) = 32),
    merchant            bytea NOT NULL CHECK (length(merchant) = 20),
    settlement_chain_id bigint NOT NULL,
    settlement_token    bytea NOT NULL CHECK (length(settlement_token) = 20),
    fee_receiver        bytea NOT NULL CHECK (length(fee_receiver) = 20),
    refund_to           bytea NOT NULL CHECK (length(refund_to) = 20),
    -- A whole second, as the contract compares it.
    refundable_after    timestamptz NOT NULL,
    created_at          timestamptz NOT NULL
);
CREATE TRIGGER deposits_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON deposits FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE INDEX deposits_by_key ON deposits (session_key);

-- When each network is to be asked next for what is at the address; null when it is not any more.
CREATE TABLE deposit_watches (
    session_id text NOT NULL REFERENCES deposits,
    network    text NOT NULL,
    due_at     timestamptz,
    PRIMARY KEY (session_id, network)
);
CREATE INDEX deposit_watches_due ON deposit_watches (network, due_at) WHERE due_at IS NOT NULL;

-- What a node said is at the address, each time that it changed, append only. No proof of
-- anything: credit comes from the router's log alone.
CREATE TABLE deposit_sightings (
    sequence   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id text NOT NULL REFERENCES deposits,
    network    text NOT NULL,
    -- 20 zero bytes for the network's own coin.
    token      bytea NOT NULL CHECK (length(token) = 20),
    balance    numeric(78) NOT NULL,
    seen_at    timestamptz NOT NULL
);
CREATE INDEX deposit_sightings_newest
    ON deposit_sightings (session_id, network, token, sequence DESC);
CREATE TRIGGER deposit_sightings_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON deposit_sightings FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What was wanted of the executor, by the name that it knows it by; what became of it is there.
CREATE TABLE deposit_sweeps (
    sequence   bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    cause      text PRIMARY KEY,
    session_id text NOT NULL REFERENCES deposits,
    network    text NOT NULL,
    token      bytea NOT NULL CHECK (length(token) = 20),
    -- All that is taken, the fee included, in the token's smallest units.
    amount     numeric(78) NOT NULL,
    staged_at  timestamptz NOT NULL
);
CREATE INDEX deposit_sweeps_newest ON deposit_sweeps (session_id, sequence DESC);
CREATE TRIGGER deposit_sweeps_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON deposit_sweeps FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE deposit_recoveries (
    cause      text PRIMARY KEY,
    session_id text NOT NULL REFERENCES deposits,
    network    text NOT NULL,
    token      bytea NOT NULL CHECK (length(token) = 20),
    -- How often it was tried for that token on that network, from 1.
    number     integer NOT NULL,
    -- A person asked for it, whatever it is worth.
    asked      boolean NOT NULL,
    staged_at  timestamptz NOT NULL,
    UNIQUE (session_id, network, token, number)
);
CREATE TRIGGER deposit_recoveries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON deposit_recoveries FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
