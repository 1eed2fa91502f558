CREATE TABLE merchants (
    merchant_id text PRIMARY KEY CHECK (merchant_id ~ '^[0-9a-f]{64}$'),
    name        text NOT NULL,
    created_at  timestamptz NOT NULL
);

-- People who sign in to the dashboard; `memberships` says for which merchants.
CREATE TABLE members (
    member_id     text PRIMARY KEY,
    email         text NOT NULL,
    password_hash text NOT NULL,
    created_at    timestamptz NOT NULL
);
CREATE UNIQUE INDEX members_by_email ON members (lower(email));

CREATE TABLE login_sessions (
    token_hash   bytea PRIMARY KEY,
    -- What lists show and forms name; it opens nothing.
    login_id     text NOT NULL UNIQUE,
    member_id    text NOT NULL REFERENCES members,
    -- The team whose pages this browser shows.
    merchant_id  text NOT NULL REFERENCES merchants,
    address      text NOT NULL,
    browser      text NOT NULL,
    created_at   timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    -- When the person last proved who they are.
    confirmed_at timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    -- The password was right; the code of the second factor is still to be typed.
    awaits_code  boolean NOT NULL
);
CREATE INDEX login_sessions_by_member ON login_sessions (member_id);

-- Failed sign-ins, counted per e-mail and per client address.
CREATE TABLE login_failures (
    subject    text NOT NULL,
    failed_at  timestamptz NOT NULL
);
CREATE INDEX login_failures_by_subject ON login_failures (subject, failed_at);

-- Only the hash of a key is kept; `hint` is what a list shows of it.
CREATE TABLE api_keys (
    sequence    bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    key_id      text PRIMARY KEY,
    merchant_id text NOT NULL REFERENCES merchants,
    mode        text NOT NULL CHECK (mode IN ('live', 'test')),
    access      text NOT NULL CHECK (access IN ('read', 'write')),
    name        text NOT NULL,
    key_hash    bytea NOT NULL UNIQUE,
    hint        text NOT NULL,
    created_at  timestamptz NOT NULL,
    revoked_at  timestamptz,
    -- Null for a key that may do all that `access` says, and for one that does not end.
    scopes      text[],
    expires_at  timestamptz,
    -- Networks that it may be used from; none for any.
    addresses   text[] NOT NULL
);
CREATE INDEX api_keys_newest ON api_keys (merchant_id, mode, sequence DESC);

CREATE TABLE receiving_accounts (
    sequence    bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    account_id  text PRIMARY KEY,
    merchant_id text NOT NULL REFERENCES merchants,
    mode        text NOT NULL CHECK (mode IN ('live', 'test')),
    name        text NOT NULL,
    address     bytea NOT NULL CHECK (length(address) = 20),
    version     text NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    removed_at  timestamptz
);
CREATE INDEX receiving_accounts_newest
    ON receiving_accounts (merchant_id, mode, sequence DESC) WHERE removed_at IS NULL;
