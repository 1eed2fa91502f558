-- The canonical chain as far as each network was read: the last row is the frontier.
CREATE TABLE chain_blocks (
    network     text NOT NULL,
    number      bigint NOT NULL,
    hash        bytea NOT NULL CHECK (length(hash) = 32),
    parent_hash bytea NOT NULL CHECK (length(parent_hash) = 32),
    block_time  timestamptz NOT NULL,
    PRIMARY KEY (network, number)
);

-- Everything the routers' logs said, append only: a reorganisation adds a fact, it erases none.
CREATE TABLE chain_facts (
    fact_number  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    network      text NOT NULL,
    kind         text NOT NULL
        CHECK (kind IN ('payment_seen', 'payment_final', 'payment_reorged', 'payment_lost')),
    tx_hash      bytea NOT NULL CHECK (length(tx_hash) = 32),
    log_position integer NOT NULL,
    block_number bigint NOT NULL,
    block_hash   bytea NOT NULL CHECK (length(block_hash) = 32),
    body         jsonb NOT NULL,
    recorded_at  timestamptz NOT NULL
);
CREATE INDEX chain_facts_by_log ON chain_facts (network, tx_hash, log_position, fact_number);
CREATE INDEX chain_facts_by_block ON chain_facts (network, block_number);
CREATE TRIGGER chain_facts_append_only BEFORE UPDATE OR DELETE ON chain_facts
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Payments that were seen and are not final yet: what the indexer still watches.
CREATE TABLE chain_watched (
    network      text NOT NULL,
    tx_hash      bytea NOT NULL,
    log_position integer NOT NULL,
    block_number bigint NOT NULL,
    block_hash   bytea NOT NULL,
    state        text NOT NULL CHECK (state IN ('seen', 'reorged')),
    body         jsonb NOT NULL,
    PRIMARY KEY (network, tx_hash, log_position)
);
