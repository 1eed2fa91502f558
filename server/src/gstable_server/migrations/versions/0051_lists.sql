-- What sessions are looked for by. A shop's sessions are written far more often than looked for, so
-- an index has only the rows that have what it is for: a session that a shop opens is in one of
-- these at most, its own reference.

-- Also the order of a link's statistics.
CREATE INDEX sessions_by_link ON sessions (business_id, sequence DESC)
    WHERE business_type = 'payment_link';
CREATE INDEX sessions_by_email ON sessions (lower(payer_email), sequence DESC)
    WHERE payer_email IS NOT NULL;
-- The shop's own name of the order; cut, because an index takes no more than 2,700 bytes. The same
-- expression is in sessions/lists/store.py.
CREATE INDEX sessions_by_reference ON sessions (
    left(coalesce(metadata ->> 'orderId', metadata ->> 'order_id', metadata ->> 'orderNumber',
        metadata ->> 'reference', metadata ->> 'invoice'), 100),
    sequence DESC
) WHERE coalesce(metadata ->> 'orderId', metadata ->> 'order_id', metadata ->> 'orderNumber',
        metadata ->> 'reference', metadata ->> 'invoice') IS NOT NULL;

-- Which sessions sell a product of the catalogue, append only; written by the database with the
-- session, so that it costs no statement and no way to open one can forget it.
CREATE TABLE session_products (
    product_id text NOT NULL,
    sequence   bigint NOT NULL,
    session_id text NOT NULL,
    PRIMARY KEY (product_id, sequence)
);
CREATE FUNCTION note_products() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO session_products (product_id, sequence, session_id)
    SELECT DISTINCT line ->> 'product_id', NEW.sequence, NEW.session_id
    FROM jsonb_array_elements(NEW.line_items) line WHERE line ->> 'product_id' IS NOT NULL;
    RETURN NULL;
END
$$;
CREATE TRIGGER sessions_note_products AFTER INSERT ON sessions FOR EACH ROW
    WHEN (jsonb_path_exists(NEW.line_items, '$[*].product_id ? (@ != null)'))
    EXECUTE FUNCTION note_products();
INSERT INTO session_products (product_id, sequence, session_id)
SELECT DISTINCT line ->> 'product_id', sequence, session_id
FROM sessions, jsonb_array_elements(line_items) line WHERE line ->> 'product_id' IS NOT NULL;

CREATE INDEX payments_by_payer ON payments (payer, sequence DESC);
CREATE INDEX payments_unusual ON payments (session_id) WHERE flags <> '{}';
CREATE INDEX payments_by_delivery ON payments (delivery_tx) WHERE delivery_tx IS NOT NULL;
CREATE INDEX payments_by_capture ON payments (hold_capture_tx) WHERE hold_capture_tx IS NOT NULL;
CREATE INDEX refunds_by_receiver ON refunds (receiver);
CREATE INDEX inflows_by_sender ON inflows (sender) WHERE sender IS NOT NULL;
CREATE INDEX request_log_by_id ON request_log USING hash (request_id);
