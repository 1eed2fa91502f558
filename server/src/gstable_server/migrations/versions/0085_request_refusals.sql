-- What stood behind the code's message in the answer: the field and what is wrong with it. Still
-- never a body or a key: words that could be one are left out before they are written.
ALTER TABLE request_log ADD COLUMN detail text NOT NULL DEFAULT '';
