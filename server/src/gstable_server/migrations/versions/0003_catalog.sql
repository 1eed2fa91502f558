-- Re-hosted copies of the pictures that merchants point at.
CREATE TABLE product_images (
    image_id     text PRIMARY KEY,
    content_type text NOT NULL,
    bytes        bytea NOT NULL,
    created_at   timestamptz NOT NULL
);

CREATE TABLE products (
    sequence      bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    product_id    text PRIMARY KEY,
    merchant_id   text NOT NULL REFERENCES merchants,
    mode          text NOT NULL CHECK (mode IN ('live', 'test')),
    name          text NOT NULL,
    description   text,
    image_id      text REFERENCES product_images,
    image_source  text,
    status        text NOT NULL CHECK (status IN ('active', 'archived')),
    common_prices bigint[] NOT NULL,
    attributes    jsonb NOT NULL,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    -- When a payment link first referenced it: such a product cannot be removed any more.
    used_at       timestamptz,
    removed_at    timestamptz,
    CHECK (used_at IS NULL OR removed_at IS NULL)
);
CREATE INDEX products_newest ON products (merchant_id, mode, sequence DESC)
    WHERE removed_at IS NULL;
