"""A shop's history, written by the database itself: sessions with their payments, rows of the book,
events, letters and refunds, as the product would have left them behind.

Every number follows from a session's own, so that who measures knows what there is to be found.
"""

from __future__ import annotations

from typing import Any

import asyncpg

from gstable_server.kernel.tenant import Tenant

NETWORKS = ("polygon", "base", "arbitrum", "ethereum")
LINKS, PRODUCTS, WALLETS, MAILS = 100, 1_000, 50_000, 200_000

# Of a hundred sessions in a mixed order: 60 completed, 25 expired, 10 cancelled, and some of each
# state that waits.
_STATE = """CASE WHEN h < 60 THEN 'completed' WHEN h < 85 THEN 'expired'
    WHEN h < 95 THEN 'cancelled' WHEN h < 97 THEN 'paid'
    WHEN h < 98 THEN 'settling' WHEN h < 99 THEN 'settlement_pending'
    ELSE 'initialized' END"""
_PAYS = "state IN ('completed', 'paid', 'settling', 'settlement_pending')"
# The last day is the newest session's; the year before it has the others at even distances.
_OPENED = "now() - interval '365 days' * (1 - i::float8 / $1)"

SESSIONS = f"""
INSERT INTO sessions (session_id, session_key, merchant_id, mode, session_type, business_type,
    business_id, client_code, account_id, recipient, settlement_token, fee_model, amount,
    line_items, payer_email_required, payer_email, metadata, expires_at, state, signed_once,
    created_at, paid_at, completed_at)
SELECT id, sha256(id::bytea), $2, 'test', CASE WHEN of_link THEN 'payment_link' ELSE 'checkout' END,
    CASE WHEN of_link THEN 'payment_link' ELSE 'checkout_session' END,
    CASE WHEN of_link THEN 'lnk_' || md5((i % {LINKS})::text) ELSE id END,
    'cc_' || md5('cc' || i), $3, $4, network || '::usdc', 1, amount,
    jsonb_build_array(jsonb_build_object('line_item_id', 'li_' || left(md5(id), 16),
        'item_type', CASE WHEN of_link THEN 'product' ELSE 'one_time' END,
        'product_id', CASE WHEN of_link THEN 'prd_' || left(md5((i % {PRODUCTS})::text), 24) END,
        'quantity', 1, 'unit_price', amount, 'product', jsonb_build_object(
            'name', 'Canvas tote bag, size ' || i % 40, 'description', 'Heavy cotton',
            'image_url', null, 'attributes', '[]'::jsonb, 'status', null))),
    false, CASE WHEN i % 10 < 3 THEN 'payer' || i % {MAILS} || '@example.com' END,
    CASE WHEN NOT of_link THEN jsonb_build_object('orderId', 'ORD-' || i, 'channel', 'web') END,
    opened + interval '30 minutes', {_STATE}, h < 60, opened,
    CASE WHEN h < 60 OR h BETWEEN 95 AND 98 THEN opened + interval '2 minutes' END,
    CASE WHEN h < 60 THEN opened + interval '3 minutes' END
FROM (
    SELECT i, 'sess_' || md5('s' || i) AS id, i % 3 = 0 AS of_link, (i * 7919) % 100 AS h,
        (i * 31 % 500 + 1) * 1000000 AS amount, {_OPENED} AS opened,
        ('{{{",".join(NETWORKS)}}}'::text[])[1 + i % {len(NETWORKS)}] AS network
    FROM generate_series($5::bigint, $6::bigint) i
) one ORDER BY i
"""
PRODUCTS_OF_SESSIONS = """
INSERT INTO session_products (product_id, sequence, session_id)
SELECT line_items -> 0 ->> 'product_id', sequence, session_id FROM sessions
WHERE line_items -> 0 ->> 'product_id' IS NOT NULL
"""
PAYMENTS = f"""
INSERT INTO payments (payment_id, session_id, network, chain_id, tx_hash, log_position,
    block_number, block_hash, block_time, payer, merchant, token_id, decimals, amount,
    fee_received, settlement_token, settlement_decimals, promised, merchant_received, state,
    flags, pays, seen_at, final_at)
SELECT 'pay_' || left(md5(session_id), 24), session_id, split_part(settlement_token, '::', 1),
    1337001, sha256(('tx' || session_id)::bytea), 0, sequence, sha256('block'), paid_at,
    substring(sha256(('wallet' || sequence % {WALLETS})::bytea) FROM 1 FOR 20), recipient,
    settlement_token, 6, amount - 100000, 100000, settlement_token, 6, amount - 100000,
    amount - 100000, CASE state WHEN 'completed' THEN 'final' ELSE 'seen' END,
    CASE WHEN amount % 37000000 = 0 THEN '{{over}}'::text[] ELSE '{{}}' END, true, paid_at,
    completed_at
FROM sessions WHERE {_PAYS} ORDER BY sequence
"""
TRANSFERS = f"""
INSERT INTO ledger_transfers (transfer_id, cause, kind, token_id, merchant_id, mode, session_id,
    posted_at)
SELECT 'trf_' || left(md5(what || session_id), 24), what || ':' || session_id, kind,
    settlement_token, merchant_id, mode, session_id, paid_at
FROM sessions CROSS JOIN (VALUES ('seen', 'payment'), ('final', 'settlement')) k (what, kind)
WHERE {_PAYS} AND (kind = 'payment' OR state = 'completed') ORDER BY sequence
"""
ENTRIES = f"""
INSERT INTO ledger_entries (transfer_id, account, token_id, amount)
SELECT 'trf_' || left(md5(what || session_id), 24),
    replace(account, '$', 'merchant:' || merchant_id), settlement_token,
    share * (amount - 100000) + fee * 100000
FROM sessions CROSS JOIN (VALUES ('seen', 'payers', -1, -1), ('seen', '$:pending', 1, 0),
    ('seen', 'fees:pending', 0, 1), ('final', '$:pending', -1, 0), ('final', '$', 1, 0),
    ('final', 'fees:pending', 0, -1), ('final', 'fees', 0, 1)) leg (what, account, share, fee)
WHERE {_PAYS} AND (what = 'seen' OR state = 'completed') ORDER BY sequence
"""
DAYS = """
INSERT INTO ledger_days
SELECT t.merchant_id, t.mode, (t.posted_at AT TIME ZONE 'UTC')::date, e.token_id, e.account,
    t.kind, sum(e.amount), count(*)
FROM ledger_transfers t JOIN ledger_entries e USING (transfer_id) GROUP BY 1, 2, 3, 4, 5, 6
"""
EVENTS = """
INSERT INTO events (event_id, type, object_id, merchant_id, mode, business_type, payload,
    occurred_at)
SELECT 'evt_' || left(md5(type || session_id), 16), type, session_id, merchant_id, mode, 'session',
    jsonb_build_object('sessionData', jsonb_build_object('sessionId', session_id, 'amount', amount,
        'status', state)), at
FROM sessions CROSS JOIN LATERAL (VALUES ('session.created', created_at),
    ('session.paid', paid_at), ('session.completed', completed_at)) told (type, at)
WHERE at IS NOT NULL ORDER BY sequence
"""
MESSAGES = """
INSERT INTO webhook_messages (webhook_id, event_id, state, attempts, created_at)
SELECT $1, event_id, 'delivered', 1, occurred_at FROM events
WHERE type IN ('session.paid', 'session.completed') ORDER BY sequence
"""
ATTEMPTS = """
INSERT INTO webhook_attempts (message_number, webhook_id, started_at, duration_ms, status_code,
    response)
SELECT message_number, webhook_id, created_at, 40, 200, 'ok' FROM webhook_messages
ORDER BY message_number
"""
REFUNDS = """
INSERT INTO refunds (refund_id, session_id, payment_id, network, chain_id, token_id, token,
    decimals, sender, receiver, token_amount, amount, reason, state, expires_at, tx_hash,
    log_position, created_at, completed_at, merchant_id, mode)
SELECT 'rfd_' || left(md5(p.session_id), 24), p.session_id, p.payment_id, p.network, p.chain_id,
    p.token_id, substring(sha256('token') FROM 1 FOR 20), 6, p.merchant, p.payer, 1000000, 1000000,
    'Returned', 'completed', p.seen_at, sha256(('rfd' || p.session_id)::bytea), 0, p.seen_at,
    p.seen_at, s.merchant_id, s.mode
FROM payments p JOIN sessions s USING (session_id) WHERE p.sequence % 50 = 0 AND p.state = 'final'
"""
REQUESTS = """
INSERT INTO request_log (merchant_id, mode, key_id, request_id, at, method, path, status, code,
    duration_ms)
SELECT merchant_id, mode, 'key_measured', 'req_' || left(md5(session_id), 24), created_at, 'POST',
    '/session/checkout/create', 200, 0, 4
FROM sessions WHERE business_type = 'checkout_session' ORDER BY sequence
"""
TABLES = (
    "sessions", "session_products", "payments", "ledger_transfers", "ledger_entries", "ledger_days",
    "events", "webhook_messages", "webhook_attempts", "refunds", "request_log",
)  # fmt: skip
_INDEXES = """
SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition
FROM pg_index WHERE indrelid::regclass::text = ANY($1)
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""
PART = 250_000
"""Sessions that one statement writes at most."""


async def seed(
    line: asyncpg.Connection[Any], tenant: Tenant, account: tuple[str, bytes], count: int,
    webhook_id: str | None = None,
) -> None:  # fmt: skip
    """Write the history of ``count`` sessions of ``tenant``, paid to ``account`` (identifier and
    wallet), with letters to the endpoint ``webhook_id`` if there is one. The connection must be a
    superuser's: no trigger is asked. Indexes are made at the end, which takes half the time."""
    indexes = await line.fetch(_INDEXES, list(TABLES))
    await line.execute("SET session_replication_role = replica; SET statement_timeout = 0")
    for index in indexes:
        await line.execute(f"DROP INDEX {index['name']}")
    owner = [tenant.merchant_id, *account]
    for first in range(1, count + 1, PART):
        await line.execute(SESSIONS, count, *owner, first, min(first + PART - 1, count))
    await line.execute("ANALYZE sessions")
    for statement in (PRODUCTS_OF_SESSIONS, PAYMENTS, TRANSFERS, ENTRIES, DAYS, EVENTS):
        await line.execute(statement)
    if webhook_id is not None:
        await line.execute(MESSAGES, webhook_id)
        await line.execute(ATTEMPTS)
    await line.execute(REFUNDS)
    await line.execute(REQUESTS)
    await line.execute("SET maintenance_work_mem = '256MB'")
    for index in indexes:
        await line.execute(index["definition"])
    await line.execute("SET session_replication_role = DEFAULT")
    for table in TABLES:
        # As the cleaner leaves it that runs while a shop lives: else it begins now, and reads all
        # of it beside what is measured.
        await line.execute(f"VACUUM (ANALYZE) {table}")
    await line.execute("CHECKPOINT")
