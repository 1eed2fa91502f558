-- Facts of the system, append only. `sequence` increases over the events of one object, because
-- whoever writes an event holds its object's row lock.
CREATE TABLE events (
    sequence      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id      text NOT NULL UNIQUE,
    type          text NOT NULL,
    object_id     text NOT NULL,
    merchant_id   text,
    mode          text CHECK (mode IN ('live', 'test')),
    business_type text,
    payload       jsonb NOT NULL,
    occurred_at   timestamptz NOT NULL,
    -- The feed is read in the order of (written_by, sequence): `sequence` alone is given out
    -- before the commit, so a reader could pass an event that is not visible yet.
    written_by    xid8 NOT NULL DEFAULT pg_current_xact_id(),
    -- The span in which it was told (W3C traceparent); null where nothing is traced.
    trace_parent  text
);
CREATE INDEX events_by_object ON events (object_id, sequence);
CREATE INDEX events_by_merchant ON events (merchant_id, mode, sequence DESC)
    WHERE merchant_id IS NOT NULL;
CREATE INDEX events_feed ON events (merchant_id, mode, written_by, sequence)
    WHERE merchant_id IS NOT NULL;

-- Events whose handlers have not run yet; the handlers' transaction removes the row. It refers to
-- `events` without a foreign key: one statement writes both rows, and no event is ever removed.
CREATE TABLE outbox (
    sequence   bigint PRIMARY KEY,
    object_id  text NOT NULL,
    attempts   integer NOT NULL DEFAULT 0,
    -- Of what was not tried yet: -infinity.
    not_before timestamptz NOT NULL,
    -- It was found behind another of its object, whose removal makes it false again.
    set_aside  boolean NOT NULL DEFAULT false
    -- A table without a page is read whole by plans that outlive its emptiness.
) WITH (vacuum_truncate = off);
CREATE INDEX outbox_by_object ON outbox (object_id, sequence);
CREATE INDEX outbox_next ON outbox (not_before, sequence) WHERE NOT set_aside;

CREATE TABLE idempotency_keys (
    key_id       text NOT NULL,
    key          text NOT NULL,
    request_hash bytea NOT NULL,
    body         bytea NOT NULL,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (key_id, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON events FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
