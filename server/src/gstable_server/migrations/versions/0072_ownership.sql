-- Messages that members were given to sign with a wallet (EIP-4361). Each counts once: the first
-- answer uses it up, whatever it is.
CREATE TABLE ownership_challenges (
    nonce       text PRIMARY KEY,
    merchant_id text NOT NULL REFERENCES merchants,
    mode        text NOT NULL CHECK (mode IN ('live', 'test')),
    account_id  text NOT NULL REFERENCES receiving_accounts,
    network     text NOT NULL,
    message     text NOT NULL,
    issued_at   timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz
);
CREATE INDEX ownership_challenges_by_age ON ownership_challenges (expires_at);

-- What was proven: by the wallet's key, which holds on every network, or by its contract on one.
CREATE TABLE ownership_proofs (
    account_id  text NOT NULL REFERENCES receiving_accounts,
    network     text NOT NULL,
    merchant_id text NOT NULL REFERENCES merchants,
    mode        text NOT NULL CHECK (mode IN ('live', 'test')),
    kind        text NOT NULL CHECK (kind IN ('key', 'contract')),
    message     text NOT NULL,
    signature   bytea NOT NULL,
    proven_at   timestamptz NOT NULL,
    PRIMARY KEY (account_id, network)
);
