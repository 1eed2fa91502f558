-- The one letter of a session: in which language its payer reads, when it was queued, how often it
-- was tried, and whether the mail server took it, never will, or was asked in vain for days.
CREATE TABLE receipt_letters (
    session_id  text PRIMARY KEY REFERENCES sessions,
    language    text,
    queued_at   timestamptz,
    -- When it is to be tried next; while a process tries it, when that process must be dead. Null
    -- before it is queued and when it is over.
    next_at     timestamptz,
    tries       integer NOT NULL DEFAULT 0,
    -- What was said at the last try that failed.
    trouble     text,
    sent_at     timestamptz,
    refused     text,
    given_up_at timestamptz,
    CHECK (num_nonnulls(next_at, sent_at, refused, given_up_at) <= 1)
);
CREATE INDEX receipt_letters_due ON receipt_letters (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX receipt_letters_waiting ON receipt_letters (queued_at) WHERE next_at IS NOT NULL;
