-- What a merchant decided once for all its sessions of a mode. No row: everything as it comes.
CREATE TABLE preferences (
    merchant_id text NOT NULL REFERENCES merchants,
    mode        text NOT NULL CHECK (mode IN ('live', 'test')),
    -- Names of networks that payers may pay on; NULL for all that the server has.
    networks    text[] CHECK (cardinality(networks) > 0),
    -- Final money that pays nothing as asked is accepted by itself: so many seconds late, short of
    -- so much in Micro-USD, or in surplus.
    late_seconds     integer NOT NULL DEFAULT 0 CHECK (late_seconds >= 0),
    short_micro_usd  bigint NOT NULL DEFAULT 0 CHECK (short_micro_usd >= 0),
    keeps_surplus    boolean NOT NULL DEFAULT false,
    mails_receipts   boolean NOT NULL DEFAULT true,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, mode)
);

-- What a session was opened with: later decisions do not change what its payer was offered.
ALTER TABLE sessions ADD COLUMN networks text[];

-- Whether a final payment that pays nothing as asked was judged by its merchant's policies: once.
ALTER TABLE inflows ADD COLUMN judged boolean NOT NULL DEFAULT false;
CREATE INDEX inflows_unjudged ON inflows (sequence)
    WHERE state = 'open' AND final AND NOT judged AND source = 'payment'
    AND session_id IS NOT NULL;
