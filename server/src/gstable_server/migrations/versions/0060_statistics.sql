-- What the console counts.

-- How many sessions of each state were opened on a day, and of one link: both answered by the index
-- alone.
CREATE INDEX sessions_by_day ON sessions (merchant_id, mode, created_at) INCLUDE (state);
CREATE INDEX sessions_of_link_by_day ON sessions (business_id, created_at) INCLUDE (state)
    WHERE business_type = 'payment_link';

-- Which links name a product.
CREATE INDEX payment_links_by_product ON payment_links USING gin (line_items jsonb_path_ops);

-- How often a link's page was opened, by day (UTC). Added to a few times a second at most, however
-- many payers come: each process counts for itself and writes its sums.
CREATE TABLE link_days (
    link_id text NOT NULL REFERENCES payment_links,
    day     date NOT NULL,
    opened  bigint NOT NULL CHECK (opened > 0),
    PRIMARY KEY (link_id, day)
);
