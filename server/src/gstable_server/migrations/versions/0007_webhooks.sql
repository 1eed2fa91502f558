CREATE TABLE webhook_endpoints (
    sequence     bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    webhook_id   text PRIMARY KEY,
    merchant_id  text NOT NULL REFERENCES merchants,
    mode         text NOT NULL CHECK (mode IN ('live', 'test')),
    name         text NOT NULL,
    url          text NOT NULL,
    description  text,
    events       text[] NOT NULL,
    key          text NOT NULL,
    -- A refreshed key's predecessor, valid until `previous_key_until`.
    previous_key       text,
    previous_key_until timestamptz,
    status       text NOT NULL CHECK (status IN ('active', 'inactive', 'paused')),
    -- Failed tries since the last success, and since when: what an endpoint is paused for.
    failures      integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    removed_at   timestamptz
);
CREATE INDEX webhook_endpoints_newest
    ON webhook_endpoints (merchant_id, mode, sequence DESC) WHERE removed_at IS NULL;

-- One letter to one endpoint; the bytes that are signed are the bytes that are sent. A pending
-- message without `next_attempt_at` is held: its endpoint is not active. `attempts` counts the
-- recorded tries, and is what a finished try is compared with before it moves the message.
CREATE TABLE webhook_messages (
    message_number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id     text NOT NULL REFERENCES webhook_endpoints,
    event_id       text NOT NULL REFERENCES events (event_id),
    body           bytea NOT NULL,
    state          text NOT NULL
        CHECK (state IN ('pending', 'delivered', 'exhausted', 'stopped')),
    attempts       integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz CHECK (next_attempt_at IS NULL OR state = 'pending'),
    created_at     timestamptz NOT NULL,
    UNIQUE (webhook_id, event_id)
);
CREATE INDEX webhook_messages_pending ON webhook_messages (webhook_id) WHERE state = 'pending';

-- Every try, append only.
CREATE TABLE webhook_attempts (
    attempt_number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_number bigint NOT NULL REFERENCES webhook_messages,
    started_at     timestamptz NOT NULL,
    duration_ms    integer NOT NULL,
    status_code    integer,
    error          text,
    response       text
);
CREATE INDEX webhook_attempts_by_message ON webhook_attempts (message_number);
CREATE TRIGGER webhook_attempts_append_only BEFORE UPDATE OR DELETE ON webhook_attempts
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
