-- Wallets that a merchant wants to be paid to, which wait so that a thief's is seen in time.
CREATE TABLE payout_changes (
    change_id   text PRIMARY KEY,
    merchant_id text NOT NULL REFERENCES merchants,
    mode        text NOT NULL CHECK (mode IN ('live', 'test')),
    name        text NOT NULL,
    address     bytea NOT NULL CHECK (length(address) = 20),
    asked_by    text NOT NULL,
    asked_at    timestamptz NOT NULL,
    due_at      timestamptz NOT NULL,
    ended_at    timestamptz,
    outcome     text CHECK (outcome IN ('done', 'cancelled', 'refused')),
    CHECK ((ended_at IS NULL) = (outcome IS NULL))
);
CREATE INDEX payout_changes_waiting ON payout_changes (due_at) WHERE ended_at IS NULL;
CREATE INDEX payout_changes_by_merchant ON payout_changes (merchant_id, mode)
    WHERE ended_at IS NULL;
