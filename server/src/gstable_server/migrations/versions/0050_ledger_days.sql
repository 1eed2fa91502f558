-- What the sealed part of the book adds up to, by day (UTC): kept by whoever seals, one process at
-- a time, so that no two payments wait for each other. With the transfers that wait for their seal
-- it is the whole book at any moment.
CREATE TABLE ledger_days (
    merchant_id text NOT NULL,
    mode        text NOT NULL,
    day         date NOT NULL,
    token_id    text NOT NULL,
    account     text NOT NULL,
    kind        text NOT NULL,
    amount      numeric NOT NULL,
    entries     bigint NOT NULL,
    PRIMARY KEY (merchant_id, mode, day, token_id, account, kind)
);
INSERT INTO ledger_days
SELECT t.merchant_id, t.mode, (t.posted_at AT TIME ZONE 'UTC')::date, e.token_id, e.account,
    t.kind, sum(e.amount), count(*)
FROM ledger_seals JOIN ledger_transfers t USING (transfer_id)
    JOIN ledger_entries e USING (transfer_id)
WHERE t.merchant_id IS NOT NULL
GROUP BY 1, 2, 3, 4, 5, 6;
