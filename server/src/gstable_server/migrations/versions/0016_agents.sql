-- Every message of the AI payment protocol that was acted upon, append only. A payer's nonce is
-- good for one message, whatever that asks for and on whichever network.
CREATE TABLE agent_authorizations (
    payer         bytea NOT NULL CHECK (length(payer) = 20),
    nonce         bytea NOT NULL CHECK (length(nonce) = 32),
    purpose       text NOT NULL CHECK (purpose IN ('create_payment_session', 'prepare_payment')),
    session_id    text NOT NULL REFERENCES sessions,
    -- What was signed (EIP-712), by which network's chain id, and the proof.
    digest        bytea NOT NULL CHECK (length(digest) = 32),
    chain_id      bigint NOT NULL,
    signature     bytea NOT NULL,
    expires_at    timestamptz NOT NULL,
    authorized_at timestamptz NOT NULL,
    PRIMARY KEY (payer, nonce)
);
CREATE INDEX agent_authorizations_newest ON agent_authorizations (payer, authorized_at DESC);
CREATE TRIGGER agent_authorizations_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON agent_authorizations FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
