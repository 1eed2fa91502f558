-- Keys by which a person signs in without a password (WebAuthn). The private halves are in the
-- person's own devices.
CREATE TABLE passkeys (
    passkey_id    text PRIMARY KEY,
    member_id     text NOT NULL REFERENCES members (member_id),
    credential_id bytea NOT NULL UNIQUE,
    public_key    bytea NOT NULL,
    sign_count    bigint NOT NULL CHECK (sign_count >= 0),
    transports    text[] NOT NULL,
    name          text NOT NULL,
    created_at    timestamptz NOT NULL,
    last_used_at  timestamptz
);
CREATE INDEX passkeys_by_member ON passkeys (member_id, created_at);

-- What a browser is to sign, or to bring back from another server: good once, for one purpose, in
-- the browser that holds the token of the hash.
CREATE TABLE login_challenges (
    token_hash bytea NOT NULL,
    purpose    text NOT NULL CHECK (purpose IN ('register', 'prove', 'sign_in', 'openid')),
    challenge  bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (token_hash, purpose)
);
CREATE INDEX login_challenges_over ON login_challenges (expires_at);

-- Who a person is to another server (OpenID Connect): found by e-mail once, by its subject then.
CREATE TABLE identities (
    issuer    text NOT NULL,
    subject   text NOT NULL,
    member_id text NOT NULL REFERENCES members (member_id),
    bound_at  timestamptz NOT NULL,
    PRIMARY KEY (issuer, subject),
    UNIQUE (issuer, member_id)
);

-- Secrets of apps are sealed from now on. Those of before were never released with.
DELETE FROM authenticators;
ALTER TABLE authenticators DROP CONSTRAINT authenticators_secret_check;
ALTER TABLE authenticators ADD CONSTRAINT authenticators_secret_sealed CHECK (length(secret) > 48);
