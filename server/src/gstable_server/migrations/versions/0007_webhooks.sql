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
    -- Tries in a row to which no answer came: such an endpoint gets one letter at a time.
    unanswered    integer NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    removed_at   timestamptz
);
CREATE INDEX webhook_endpoints_newest
    ON webhook_endpoints (merchant_id, mode, sequence DESC) WHERE removed_at IS NULL;

-- One event to one endpoint: its own place in the queue. The letter is rendered from `events` at
-- each try. A pending message without `next_attempt_at` is held: its endpoint is not active.
-- Whoever sends it sets `leased_until`; when that has passed without a result, the sender died.
CREATE TABLE webhook_messages (
    message_number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id     text NOT NULL REFERENCES webhook_endpoints,
    event_id       text NOT NULL REFERENCES events (event_id),
    state          text NOT NULL
        CHECK (state IN ('pending', 'delivered', 'exhausted', 'stopped')),
    -- Finished tries, and those of them before the present round of the schedule: a message that
    -- is sent again begins a new round.
    attempts              integer NOT NULL DEFAULT 0,
    attempts_before_round integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz CHECK (next_attempt_at IS NULL OR state = 'pending'),
    -- By the database's clock, which all workers share. In no index, so that taking a lease
    -- changes none.
    leased_until   timestamptz,
    created_at     timestamptz NOT NULL,
    UNIQUE (webhook_id, event_id)
) WITH (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.05
);
CREATE INDEX webhook_messages_due ON webhook_messages
    (webhook_id, next_attempt_at, message_number) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX webhook_messages_held ON webhook_messages (webhook_id, message_number)
    WHERE state = 'pending' AND next_attempt_at IS NULL;
CREATE INDEX webhook_messages_exhausted ON webhook_messages (message_number)
    WHERE state = 'exhausted';

-- Every try, append only.
CREATE TABLE webhook_attempts (
    attempt_number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_number bigint NOT NULL REFERENCES webhook_messages,
    webhook_id     text NOT NULL,
    started_at     timestamptz NOT NULL,
    duration_ms    integer NOT NULL,
    status_code    integer,
    error          text,
    response       text
);
CREATE INDEX webhook_attempts_by_message ON webhook_attempts (message_number, attempt_number);
CREATE INDEX webhook_attempts_by_endpoint ON webhook_attempts (webhook_id, attempt_number DESC);
CREATE TRIGGER webhook_attempts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON webhook_attempts FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
