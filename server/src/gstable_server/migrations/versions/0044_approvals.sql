-- Refunds above the merchant's limit wait until two people of the team stand behind them. Who
-- prepared one is null for an API key and for the operator's own commands.
ALTER TABLE refunds ADD COLUMN prepared_by text REFERENCES members (member_id);
ALTER TABLE refunds ADD COLUMN approval text NOT NULL DEFAULT 'not_needed'
    CHECK (approval IN ('not_needed', 'awaited', 'given'));
ALTER TABLE refunds DROP CONSTRAINT refunds_state_check;
ALTER TABLE refunds ADD CONSTRAINT refunds_state_check CHECK
    (state IN ('awaiting_approval', 'prepared', 'seen', 'completed', 'expired', 'cancelled'));
DROP INDEX refunds_due_to_expire;
ALTER TABLE refunds ADD CONSTRAINT refunds_sent_only_when_approved
    CHECK (state <> 'prepared' OR approval <> 'awaited');
CREATE INDEX refunds_due_to_expire ON refunds (expires_at)
    WHERE state IN ('awaiting_approval', 'prepared');

-- Who approved what: the digest is of the terms that were on the page.
CREATE TABLE refund_approvals (
    refund_id    text NOT NULL REFERENCES refunds,
    member_id    text NOT NULL REFERENCES members (member_id),
    terms_digest bytea NOT NULL CHECK (length(terms_digest) = 32),
    approved_at  timestamptz NOT NULL,
    PRIMARY KEY (refund_id, member_id)
);
