-- The canonical chain as far as each network was read: the last row is the frontier.
CREATE TABLE chain_blocks (
    network     text NOT NULL,
    number      bigint NOT NULL,
    hash        bytea NOT NULL CHECK (length(hash) = 32),
    parent_hash bytea NOT NULL CHECK (length(parent_hash) = 32),
    block_time  timestamptz NOT NULL,
    PRIMARY KEY (network, number)
);

-- Everything that the logs of our contracts said, append only: a reorganisation adds a fact, it
-- erases none. What was final when its block was first read has that fact alone.
CREATE TABLE chain_facts (
    fact_number  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    network      text NOT NULL,
    kind         text NOT NULL
        CHECK (kind IN ('payment', 'delivery', 'escrow', 'hold', 'transfer', 'inbound',
            'recovery')),
    what         text NOT NULL CHECK (what IN ('seen', 'final', 'reorged', 'lost')),
    tx_hash      bytea NOT NULL CHECK (length(tx_hash) = 32),
    log_position integer NOT NULL,
    block_number bigint NOT NULL,
    block_hash   bytea NOT NULL CHECK (length(block_hash) = 32),
    body         jsonb NOT NULL,
    recorded_at  timestamptz NOT NULL
);
CREATE INDEX chain_facts_by_log ON chain_facts (network, tx_hash, log_position, fact_number);
CREATE INDEX chain_facts_by_block ON chain_facts (network, block_number);
CREATE TRIGGER chain_facts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON chain_facts FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Logs that were seen and are not final yet: what the indexer still watches.
CREATE TABLE chain_watched (
    network      text NOT NULL,
    tx_hash      bytea NOT NULL,
    log_position integer NOT NULL,
    block_number bigint NOT NULL,
    block_hash   bytea NOT NULL,
    state        text NOT NULL CHECK (state IN ('seen', 'reorged')),
    body         jsonb NOT NULL,
    PRIMARY KEY (network, tx_hash, log_position)
);

-- To whose addresses transfers of any token are read besides, and until when.
CREATE TABLE chain_receiver_watches (
    network  text NOT NULL,
    receiver bytea NOT NULL CHECK (length(receiver) = 20),
    until    timestamptz NOT NULL,
    PRIMARY KEY (network, receiver)
);
CREATE INDEX chain_receiver_watches_until ON chain_receiver_watches (network, until);

-- How many transfers of dust or of unknown tokens were told of an address on one day: anybody can
-- make them without end.
CREATE TABLE chain_spam (
    network  text NOT NULL,
    receiver bytea NOT NULL CHECK (length(receiver) = 20),
    day      date NOT NULL,
    count    integer NOT NULL,
    PRIMARY KEY (network, receiver, day)
);

-- Whose token transfers are read besides, and for how many reasons: refunds leave from wallets.
CREATE TABLE chain_transfer_watches (
    network text NOT NULL,
    sender  bytea NOT NULL CHECK (length(sender) = 20),
    count   integer NOT NULL CHECK (count >= 0),
    PRIMARY KEY (network, sender)
);

-- How each network is read, for people and alarms: one row a network, written by the indexer.
CREATE TABLE chain_states (
    network       text PRIMARY KEY,
    frontier      bigint NOT NULL,
    head          bigint NOT NULL,
    halted_reason text,
    updated_at    timestamptz NOT NULL
);
