CREATE TABLE sessions (
    sequence             bigint GENERATED ALWAYS AS IDENTITY,
    session_id           text PRIMARY KEY,
    -- keccak-256 of the session id: how the chain names this session.
    session_key          bytea NOT NULL UNIQUE CHECK (length(session_key) = 32),
    merchant_id          text NOT NULL REFERENCES merchants,
    mode                 text NOT NULL CHECK (mode IN ('live', 'test')),
    session_type         text NOT NULL
        CHECK (session_type IN ('checkout', 'payment_link', 'ai_checkout')),
    business_type        text NOT NULL
                         CHECK (business_type IN ('checkout_session', 'payment_link')),
    business_id          text NOT NULL,
    client_code          text NOT NULL,
    account_id           text NOT NULL REFERENCES receiving_accounts,
    -- Where the money goes, fixed when the session is made: a later change of the account does
    -- not move it.
    recipient            bytea NOT NULL CHECK (length(recipient) = 20),
    settlement_token     text NOT NULL,
    fee_model            smallint NOT NULL CHECK (fee_model IN (1, 2)),
    amount               bigint NOT NULL CHECK (amount > 0),
    line_items           jsonb NOT NULL,
    -- Who alone prepares a payment and with which token, where the payer fixed that (spec 10).
    preset_payer         bytea CHECK (length(preset_payer) = 20),
    preset_token         text,
    CHECK ((preset_payer IS NULL) = (preset_token IS NULL)),
    payer_email_required boolean NOT NULL,
    payer_email          text,
    success_url          text,
    metadata             jsonb,
    -- Manual: what is paid is held until the merchant captures it.
    capture_method       text NOT NULL DEFAULT 'automatic'
                         CHECK (capture_method IN ('automatic', 'manual')),
    expires_at           timestamptz NOT NULL,
    state                text NOT NULL CHECK (state IN ('initialized', 'paid', 'settling',
        'settlement_pending', 'completed', 'expired', 'cancelled')),
    signed_once          boolean NOT NULL DEFAULT false,
    receipt_id           text,
    created_at           timestamptz NOT NULL,
    paid_at              timestamptz,
    completed_at         timestamptz
    -- Room for what a payer's choice changes, which is in no index.
) WITH (fillfactor = 70);
CREATE INDEX sessions_newest ON sessions (merchant_id, mode, sequence DESC);
CREATE INDEX sessions_newest_by_state ON sessions (merchant_id, mode, state, sequence DESC);
CREATE INDEX sessions_unsettled ON sessions (state, paid_at)
    WHERE state IN ('paid', 'settling', 'settlement_pending');
CREATE INDEX sessions_due_to_expire ON sessions (expires_at) WHERE state = 'initialized';

-- What the platform attested and the payer may pay, append only: each signed order whole.
CREATE TABLE session_orders (
    order_number    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id      text NOT NULL REFERENCES sessions,
    -- What pays: its network and token; the fee is in its smallest units.
    network         text NOT NULL,
    token_id        text NOT NULL,
    way             text NOT NULL
        CHECK (way IN ('approve', 'erc3009', 'permit', 'permit2', 'deposit')),
    -- What brings the money to the settlement token; null where it is that token already.
    rail            text CHECK (rail IN ('swap', 'cctp', 'escrow', 'hold')),
    -- What was signed (EIP-712), and the order that it was signed for.
    digest          bytea NOT NULL CHECK (length(digest) = 32),
    body            jsonb NOT NULL,
    -- In the settlement token's smallest units.
    merchant_amount numeric(78) NOT NULL,
    fee_amount      numeric(78) NOT NULL,
    fee_ppm         integer NOT NULL,
    deadline        timestamptz NOT NULL,
    payer           bytea NOT NULL,
    signed_at       timestamptz NOT NULL
);
CREATE INDEX session_orders_by_session ON session_orders (session_id);
CREATE TRIGGER session_orders_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON session_orders FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Payments that payers signed and we send, by the name that the executor knows them by.
CREATE TABLE session_authorizations (
    cause         text PRIMARY KEY,
    session_id    text NOT NULL REFERENCES sessions,
    authorized_at timestamptz NOT NULL
);
CREATE INDEX session_authorizations_by_session ON session_authorizations (session_id);
CREATE TRIGGER session_authorizations_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON session_authorizations FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Money that reached the chain, whether or not it matches an open session. One row per log,
-- named by (network, transaction, position among the transaction's logs), which survives a
-- re-mining of the transaction in another block.
CREATE TABLE payments (
    sequence          bigint GENERATED ALWAYS AS IDENTITY,
    payment_id        text PRIMARY KEY,
    session_id        text REFERENCES sessions,
    network           text NOT NULL,
    chain_id          bigint NOT NULL,
    tx_hash           bytea NOT NULL CHECK (length(tx_hash) = 32),
    log_position      integer NOT NULL,
    block_number      bigint NOT NULL,
    block_hash        bytea NOT NULL,
    block_time        timestamptz NOT NULL,
    payer             bytea NOT NULL,
    merchant          bytea NOT NULL,
    token_id          text NOT NULL,
    -- The token's, as it was configured; null for a token that is not accepted.
    decimals          smallint,
    -- What the payer gave besides the fee, net of change.
    amount            numeric(78) NOT NULL,
    fee_received      numeric(78) NOT NULL,
    rail              text CHECK (rail IN ('swap', 'cctp', 'escrow', 'hold')),
    -- What the merchant gets: promised in the order, and received in the payment's transaction.
    settlement_token    text NOT NULL,
    settlement_decimals smallint,
    promised          numeric(78) NOT NULL,
    merchant_received numeric(78) NOT NULL,
    -- Received later, through a rail that crosses to another network.
    delivery_network  text,
    delivery_tx       bytea CHECK (length(delivery_tx) = 32),
    delivery_position integer,
    delivery_received numeric(78),
    delivered_at      timestamptz,
    delivery_final_at timestamptz,
    times_delivered   integer NOT NULL DEFAULT 0,
    -- Held until the merchant captures it: what left the hold, by logs that stand, and what of it
    -- reached the merchant and the platform for good. Null where nothing is held.
    hold_capture_before timestamptz,
    hold_captured     numeric(78) NOT NULL DEFAULT 0,
    hold_returned     numeric(78) NOT NULL DEFAULT 0,
    hold_received     numeric(78) NOT NULL DEFAULT 0,
    hold_fee          numeric(78) NOT NULL DEFAULT 0,
    hold_capture_tx   bytea CHECK (length(hold_capture_tx) = 32),
    hold_captured_at  timestamptz,
    -- The database itself refuses that more leaves a hold than is in it.
    CHECK (hold_captured + hold_returned <= amount),
    -- Returned: it is final, and the payer took the money back from the rail.
    state             text NOT NULL
        CHECK (state IN ('seen', 'final', 'reverted', 'lost', 'returned')),
    -- under, over, late, duplicate, wrong_token, wrong_recipient, unmatched, accepted: a set, since
    -- one payment can be several of these.
    flags             text[] NOT NULL,
    -- This payment pays its session: in time, enough, the right token to the right wallet, first.
    pays              boolean NOT NULL,
    seen_at           timestamptz NOT NULL,
    final_at          timestamptz,
    -- More than once after a reorganisation: each time is booked, and taken back, on its own.
    times_mined       integer NOT NULL DEFAULT 1,
    UNIQUE (network, tx_hash, log_position)
);
CREATE INDEX payments_by_session ON payments (session_id);
-- The database itself refuses to credit a session twice.
CREATE UNIQUE INDEX payments_credited_once ON payments (session_id)
    WHERE pays AND state IN ('seen', 'final');
CREATE INDEX payments_held ON payments (hold_capture_before)
    WHERE state IN ('seen', 'final') AND hold_captured + hold_returned < amount;
