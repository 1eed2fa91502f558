"""The SQL of the comparison: what the floor and pgbench run.

The rows are those that the product writes for one session: the session with its line items as
jsonb, the event with its letter as jsonb, and the outbox row, in one transaction.
"""

from __future__ import annotations

FIND_ACCOUNT = """
SELECT address FROM receiving_accounts
WHERE account_id = $1 AND merchant_id = $2 AND mode = 'test' AND removed_at IS NULL
"""
FIND_PRODUCT = """
SELECT name, description, attributes, status FROM products
WHERE product_id = ANY($1) AND merchant_id = $2 AND mode = 'test' AND removed_at IS NULL
"""
INSERT_SESSION = """
INSERT INTO sessions (session_id, session_key, merchant_id, mode, session_type, business_type,
    business_id, client_code, account_id, recipient, settlement_token, fee_model, amount,
    line_items, payer_email_required, success_url, metadata, expires_at, state, created_at)
VALUES ($1, $2, $3, 'test', 'checkout', 'checkout_session', $1, $4, $5, $6, $7, 1, $8, $9, false,
    $10, $11, $12, 'initialized', $13)
"""
INSERT_EVENT = """
WITH new AS (
    INSERT INTO events
        (event_id, type, object_id, merchant_id, mode, business_type, payload, occurred_at)
    VALUES ($1, 'session.created', $2, $3, 'test', 'session', $4, $5)
    RETURNING sequence, object_id, occurred_at)
INSERT INTO outbox (sequence, object_id, not_before)
SELECT sequence, object_id, occurred_at FROM new
"""
FIND_SESSION = "SELECT * FROM sessions WHERE session_id = $1"
FIND_PAYMENTS = "SELECT * FROM payments WHERE session_id = $1 ORDER BY sequence"

# pgbench's own language: a variable is a parameter of the prepared statement, so that every
# transaction sends the JSON texts and the server parses them, as it does for the others.
PGBENCH_CREATE = r"""
\set number random(1, 9000000000000000000)
BEGIN;
INSERT INTO sessions (session_id, session_key, merchant_id, mode, session_type, business_type,
    business_id, client_code, account_id, recipient, settlement_token, fee_model, amount,
    line_items, payer_email_required, success_url, metadata, expires_at, state, created_at)
VALUES ('sess_' || :number::bigint, decode(lpad(to_hex(:number::bigint), 64, '0'), 'hex'),
    :merchant, 'test', 'checkout', 'checkout_session', 'sess_' || :number::bigint,
    'cc_' || :number::bigint, :account, decode(:recipient, 'hex'), :token, 1, 37000000,
    :lines::jsonb, false, 'https://shop.example/thanks', :metadata::jsonb,
    now() + interval '30 minutes', 'initialized', now());
WITH new AS (
    INSERT INTO events
        (event_id, type, object_id, merchant_id, mode, business_type, payload, occurred_at)
    VALUES ('evt_' || :number::bigint, 'session.created', 'sess_' || :number::bigint, :merchant,
        'test', 'session', :letter::jsonb, now())
    RETURNING sequence, object_id, occurred_at)
INSERT INTO outbox (sequence, object_id, not_before)
SELECT sequence, object_id, occurred_at FROM new;
COMMIT;
"""
PGBENCH_GET = """
SELECT * FROM sessions WHERE session_id = :session;
SELECT * FROM payments WHERE session_id = :session ORDER BY sequence;
"""
