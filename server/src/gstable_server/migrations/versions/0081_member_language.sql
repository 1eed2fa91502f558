-- The language that a person chose in the console, as a tag of BCP 47; NULL for none yet.
ALTER TABLE members ADD COLUMN language text
    CHECK (language ~ '^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$' AND length(language) <= 35);

-- What a letter says apart from whom it goes to: the texts with their places and what stands there,
-- so that it is written in the reader's language when it is sent. Goes with the body afterwards.
ALTER TABLE notices ADD COLUMN words jsonb;
