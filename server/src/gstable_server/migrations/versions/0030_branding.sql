-- Logos as this server shows them: drawn anew from what merchants handed in.
CREATE TABLE logos (
    image_id     text PRIMARY KEY,
    merchant_id  text NOT NULL REFERENCES merchants,
    content_type text NOT NULL,
    bytes        bytea NOT NULL,
    created_at   timestamptz NOT NULL
);
CREATE INDEX logos_by_merchant ON logos (merchant_id);

-- What payers see of a merchant that has set anything.
CREATE TABLE branding (
    merchant_id      text PRIMARY KEY REFERENCES merchants,
    display_name     text NOT NULL,
    logo_id          text REFERENCES logos,
    accent           text CHECK (accent ~ '^#[0-9a-f]{6}$'),
    corners          text NOT NULL CHECK (corners IN ('square', 'soft', 'round')),
    support_email    text,
    support_url      text,
    terms_url        text,
    default_language text,
    -- Sites that may show the payer's pages in a frame.
    frame_origins    text[] NOT NULL,
    updated_at       timestamptz NOT NULL
);

-- Who changed what of it and when, append only: it decides whom payers write to, and which sites
-- may show the payer's pages. ``changes`` is {"field": ["before", "after"]}.
CREATE TABLE branding_changes (
    sequence    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    merchant_id text NOT NULL REFERENCES merchants,
    actor       text NOT NULL,
    changes     jsonb NOT NULL,
    at          timestamptz NOT NULL
);
CREATE INDEX branding_changes_by_merchant ON branding_changes (merchant_id, sequence DESC);
CREATE TRIGGER branding_changes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON branding_changes FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
