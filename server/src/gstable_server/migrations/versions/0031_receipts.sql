-- The one letter of a session: in which language its payer reads, when it was queued, when a
-- process began to send it, and whether the mail server took it or never will.
CREATE TABLE receipt_letters (
    session_id text PRIMARY KEY REFERENCES sessions,
    language   text,
    queued_at  timestamptz,
    tried_at   timestamptz,
    sent_at    timestamptz,
    refused    text,
    CHECK (sent_at IS NULL OR refused IS NULL)
);
