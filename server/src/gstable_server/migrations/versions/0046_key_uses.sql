-- When and from where an API key was used last: beside the keys, whose rows every request reads.
CREATE TABLE api_key_uses (
    key_id  text PRIMARY KEY REFERENCES api_keys,
    used_at timestamptz NOT NULL,
    address text NOT NULL
);
