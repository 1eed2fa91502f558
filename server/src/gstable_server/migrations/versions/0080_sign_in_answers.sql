-- What browsers without a login were asked is in a stamped cookie of theirs; here is only what was
-- answered rightly, so that it counts once. Strangers write nothing. Kept until the question's end.
CREATE TABLE sign_in_answers (
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    expires_at timestamptz NOT NULL
);
CREATE INDEX sign_in_answers_over ON sign_in_answers (expires_at);
