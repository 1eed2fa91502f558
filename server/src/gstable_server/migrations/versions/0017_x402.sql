-- Every transfer that an x402 client signed and that was handed to the executor, append only; what
-- became of it is there, under the name x402:<digest>.
CREATE TABLE x402_payments (
    sequence   bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    -- What was signed (EIP-712): the same signature again is the same payment.
    digest     bytea PRIMARY KEY CHECK (length(digest) = 32),
    session_id text NOT NULL REFERENCES sessions,
    network    text NOT NULL,
    token      bytea NOT NULL CHECK (length(token) = 20),
    method     text NOT NULL CHECK (method IN ('eip3009', 'permit2')),
    payer      bytea NOT NULL CHECK (length(payer) = 20),
    -- In the token's smallest units.
    amount     numeric(78) NOT NULL CHECK (amount > 0),
    -- The client's own name for the payment (extension payment-identifier), one of the payer's.
    identifier text,
    staged_at  timestamptz NOT NULL,
    UNIQUE (payer, identifier)
);
CREATE INDEX x402_payments_session ON x402_payments (session_id, sequence);
CREATE INDEX x402_payments_payer ON x402_payments (payer, sequence);
CREATE TRIGGER x402_payments_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON x402_payments FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
