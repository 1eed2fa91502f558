-- Double entry per asset: the entries of a transfer sum to zero. Corrections are new transfers
-- that point at the old one.
CREATE TABLE ledger_transfers (
    transfer_id text PRIMARY KEY,
    -- What caused it, once: asking twice for the same cause is one transfer.
    cause       text NOT NULL UNIQUE,
    kind        text NOT NULL,
    token_id    text NOT NULL,
    merchant_id text,
    mode        text,
    session_id  text,
    reverses    text REFERENCES ledger_transfers,
    posted_at   timestamptz NOT NULL
);
CREATE INDEX ledger_transfers_by_session ON ledger_transfers (session_id);

CREATE TABLE ledger_entries (
    entry_number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- That it is there is seen to by `require_balance`, once a statement.
    transfer_id  text NOT NULL,
    account      text NOT NULL,
    token_id     text NOT NULL,
    amount       numeric(78) NOT NULL CHECK (amount <> 0)
);
CREATE INDEX ledger_entries_by_transfer ON ledger_entries (transfer_id);

-- Transfers that have no seal yet; the seal's transaction removes the row.
CREATE TABLE ledger_unsealed (
    transfer_id text PRIMARY KEY,
    number      bigint GENERATED ALWAYS AS IDENTITY
);

-- A chain over all transfers: each hash covers a transfer, its entries and the hash before.
CREATE TABLE ledger_seals (
    seal_number bigint PRIMARY KEY CHECK (seal_number > 0),
    transfer_id text NOT NULL UNIQUE REFERENCES ledger_transfers,
    hash        bytea NOT NULL CHECK (length(hash) = 32)
);

CREATE TRIGGER ledger_transfers_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON ledger_transfers FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON ledger_entries FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_seals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON ledger_seals FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The database itself refuses entries that do not cancel out: whatever one statement adds to a
-- transfer sums to zero, so the transfer always does. And entries of no transfer: a foreign key
-- would ask for each row; as no transfer is ever removed, to ask when entries are added is enough.
CREATE FUNCTION require_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    unbalanced text;
BEGIN
    SELECT min(transfer_id) INTO unbalanced FROM (
        SELECT transfer_id FROM added GROUP BY transfer_id, token_id HAVING sum(amount) <> 0
    ) wrong;
    IF unbalanced IS NOT NULL THEN
        RAISE EXCEPTION 'transfer % does not balance', unbalanced
            USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (
        SELECT FROM added WHERE (
            SELECT t.transfer_id FROM ledger_transfers t WHERE t.transfer_id = added.transfer_id
        ) IS NULL
    ) THEN
        RAISE EXCEPTION 'entries of a transfer that is not there'
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER ledger_entries_balance AFTER INSERT ON ledger_entries
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION require_balance();
