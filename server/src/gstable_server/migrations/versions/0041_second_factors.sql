-- One authenticator app of a person. It counts once its first code was typed.
CREATE TABLE authenticators (
    member_id    text PRIMARY KEY REFERENCES members,
    secret       bytea NOT NULL CHECK (length(secret) = 20),
    confirmed_at timestamptz,
    -- The 30 seconds whose code was used last: neither it nor an earlier one is taken again.
    last_step    bigint NOT NULL
);

-- Codes for who has lost the app, each good once; only their hashes are kept.
CREATE TABLE recovery_codes (
    member_id text NOT NULL REFERENCES members,
    code_hash bytea NOT NULL,
    used_at   timestamptz,
    PRIMARY KEY (member_id, code_hash)
);

CREATE TABLE password_resets (
    token_hash bytea PRIMARY KEY,
    member_id  text NOT NULL REFERENCES members,
    expires_at timestamptz NOT NULL
);
CREATE INDEX password_resets_by_member ON password_resets (member_id);
