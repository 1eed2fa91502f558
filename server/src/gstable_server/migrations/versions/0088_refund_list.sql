-- Whose a refund is: as its session says, written here too so that a list of a merchant's refunds
-- reads an index in the list's own order, however many sessions there are. The database itself
-- writes it, so that the version before this one goes on working beside it.
ALTER TABLE refunds ADD COLUMN merchant_id text REFERENCES merchants;
ALTER TABLE refunds ADD COLUMN mode text CHECK (mode IN ('live', 'test'));
CREATE FUNCTION name_owner_of_refund() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT merchant_id, mode INTO NEW.merchant_id, NEW.mode
    FROM sessions WHERE session_id = NEW.session_id;
    RETURN NEW;
END
$$;
CREATE TRIGGER refunds_name_owner BEFORE INSERT ON refunds FOR EACH ROW
    EXECUTE FUNCTION name_owner_of_refund();
UPDATE refunds SET merchant_id = s.merchant_id, mode = s.mode
FROM sessions s WHERE s.session_id = refunds.session_id;
ALTER TABLE refunds ALTER COLUMN merchant_id SET NOT NULL;
ALTER TABLE refunds ALTER COLUMN mode SET NOT NULL;
CREATE INDEX refunds_newest ON refunds (merchant_id, mode, sequence DESC);
CREATE INDEX refunds_newest_by_state ON refunds (merchant_id, mode, state, sequence DESC);
