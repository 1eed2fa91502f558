-- Who belongs to which merchant, and as what. A person may be in several teams.
CREATE TABLE memberships (
    merchant_id text NOT NULL REFERENCES merchants,
    member_id   text NOT NULL REFERENCES members,
    role        text NOT NULL
        CHECK (role IN ('owner', 'admin', 'developer', 'finance', 'support', 'viewer')),
    joined_at   timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, member_id)
);
CREATE INDEX memberships_by_member ON memberships (member_id);

-- Ways into a team. Only the hash of the link's token is kept.
CREATE TABLE invitations (
    invitation_id text PRIMARY KEY,
    merchant_id   text NOT NULL REFERENCES merchants,
    email         text NOT NULL,
    role          text NOT NULL
        CHECK (role IN ('owner', 'admin', 'developer', 'finance', 'support', 'viewer')),
    token_hash    bytea NOT NULL UNIQUE,
    invited_by    text NOT NULL REFERENCES members,
    created_at    timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    accepted_at   timestamptz,
    withdrawn_at  timestamptz,
    CHECK (accepted_at IS NULL OR withdrawn_at IS NULL)
);
CREATE UNIQUE INDEX invitations_open ON invitations (merchant_id, email)
    WHERE accepted_at IS NULL AND withdrawn_at IS NULL;

-- Letters to members, in plain text: a row is one letter, and the queue of those not sent yet.
CREATE TABLE notices (
    notice_id  text PRIMARY KEY,
    email      text NOT NULL,
    subject    text NOT NULL,
    body       text NOT NULL,
    written_at timestamptz NOT NULL,
    not_before timestamptz NOT NULL,
    tries      integer NOT NULL DEFAULT 0,
    -- When it was handed over, refused for good or given up; ``trouble`` says why the latter.
    ended_at   timestamptz,
    trouble    text
);
CREATE INDEX notices_due ON notices (not_before) WHERE ended_at IS NULL;

-- Every act of a person, append only; each hash covers the entry and the hash before.
CREATE TABLE audit_entries (
    number      bigint PRIMARY KEY CHECK (number > 0),
    merchant_id text NOT NULL REFERENCES merchants,
    member_id   text NOT NULL REFERENCES members,
    email       text NOT NULL,
    address     text NOT NULL,
    action      text NOT NULL,
    mode        text NOT NULL CHECK (mode IN ('live', 'test', '')),
    what        text NOT NULL,
    about       text NOT NULL,
    before      jsonb NOT NULL,
    after       jsonb NOT NULL,
    at          timestamptz NOT NULL,
    hash        bytea NOT NULL CHECK (length(hash) = 32)
);
CREATE INDEX audit_entries_by_merchant ON audit_entries (merchant_id, number DESC);
CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON audit_entries FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
