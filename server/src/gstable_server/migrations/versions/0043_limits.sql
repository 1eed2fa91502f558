-- How much one person alone may give back of one session, in Micro-USD; no row is no limit.
CREATE TABLE refund_limits (
    merchant_id text NOT NULL REFERENCES merchants,
    mode        text NOT NULL CHECK (mode IN ('live', 'test')),
    amount      numeric(78) NOT NULL CHECK (amount >= 0),
    changed_at  timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, mode)
);

-- Limits that a member wants to be higher, or none at all (null): they wait for a second person or
-- for their time.
CREATE TABLE refund_limit_changes (
    change_id   text PRIMARY KEY,
    merchant_id text NOT NULL REFERENCES merchants,
    mode        text NOT NULL CHECK (mode IN ('live', 'test')),
    amount      numeric(78) CHECK (amount >= 0),
    asked_by    text NOT NULL REFERENCES members (member_id),
    asked_at    timestamptz NOT NULL,
    due_at      timestamptz NOT NULL,
    ended_at    timestamptz,
    outcome     text CHECK (outcome IN ('approved', 'due', 'cancelled', 'replaced')),
    CHECK ((ended_at IS NULL) = (outcome IS NULL))
);
CREATE UNIQUE INDEX refund_limit_changes_waiting ON refund_limit_changes (merchant_id, mode)
    WHERE ended_at IS NULL;
CREATE INDEX refund_limit_changes_due ON refund_limit_changes (due_at) WHERE ended_at IS NULL;
