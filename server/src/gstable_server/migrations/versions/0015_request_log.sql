-- One row a request that came with a good API key: never a body, a key, a header or a query. Kept
-- for some days, and no evidence of anything: no row refers to it, and rows may be missing.
CREATE TABLE request_log (
    -- Rows are written by one writer at a time, so later numbers become visible later.
    sequence    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    merchant_id text NOT NULL,
    mode        text NOT NULL CHECK (mode IN ('live', 'test')),
    key_id      text NOT NULL,
    request_id  text NOT NULL,
    -- When it was answered.
    at          timestamptz NOT NULL,
    method      text NOT NULL,
    path        text NOT NULL,
    -- The HTTP status; 0 where the client went away before its answer.
    status      smallint NOT NULL,
    -- The envelope's; null where there was none.
    code        integer,
    duration_ms integer NOT NULL CHECK (duration_ms >= 0)
);
CREATE INDEX request_log_of_tenant ON request_log (merchant_id, mode, sequence);
