CREATE TABLE payment_links (
    sequence             bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    link_id              text PRIMARY KEY,
    merchant_id          text NOT NULL REFERENCES merchants,
    mode                 text NOT NULL CHECK (mode IN ('live', 'test')),
    link_type            text NOT NULL CHECK (link_type IN ('fixed', 'custom')),
    name                 text NOT NULL,
    account_id           text NOT NULL REFERENCES receiving_accounts,
    settlement_token     text NOT NULL,
    fee_model            smallint NOT NULL CHECK (fee_model IN (1, 2)),
    line_items           jsonb NOT NULL,
    amount               bigint NOT NULL CHECK (amount >= 0),
    payer_email_required boolean NOT NULL,
    success_url          text,
    custom_success_text  text,
    custom_disabled_text text,
    status               text NOT NULL CHECK (status IN ('active', 'inactive', 'archived')),
    version              text NOT NULL,
    created_at           timestamptz NOT NULL,
    updated_at           timestamptz NOT NULL
);
CREATE INDEX payment_links_newest ON payment_links (merchant_id, mode, sequence DESC);
