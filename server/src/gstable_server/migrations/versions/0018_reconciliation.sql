-- Which final blocks the reconciler has read, stretch by stretch, and the hash of the last one.
CREATE TABLE reconciliation_reads (
    network     text NOT NULL,
    first_block bigint NOT NULL,
    last_block  bigint NOT NULL CHECK (last_block >= first_block),
    last_hash   bytea NOT NULL CHECK (length(last_hash) = 32),
    read_at     timestamptz NOT NULL,
    PRIMARY KEY (network, first_block)
);
CREATE TRIGGER reconciliation_reads_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON reconciliation_reads FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What it found there: the logs of our contracts, and transfers that prove refunds.
CREATE TABLE reconciliation_logs (
    network      text NOT NULL,
    block_number bigint NOT NULL,
    log_index    bigint NOT NULL,
    tx_hash      bytea NOT NULL CHECK (length(tx_hash) = 32),
    address      bytea NOT NULL CHECK (length(address) = 20),
    -- One after the other, 32 bytes each.
    topics       bytea NOT NULL,
    data         bytea NOT NULL,
    PRIMARY KEY (network, block_number, log_index)
);
CREATE TRIGGER reconciliation_logs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON reconciliation_logs FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What came of each comparison of the book with the chains.
CREATE TABLE reconciliations (
    run_number    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reconciled_at timestamptz NOT NULL,
    -- How many there were; the first of them, the networks and how far each was read: the body.
    differences   bigint NOT NULL,
    body          jsonb NOT NULL
);
CREATE TRIGGER reconciliations_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON reconciliations FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
