-- Open pages of payers wait for these notifications (web/checkout/live.py). They are made here and
-- not by who writes, so that no way to change what a page shows can forget to tell. Not for new
-- sessions: nobody looks at one yet, and commits that notify wait for each other.
CREATE FUNCTION tell_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.session_id IS NOT NULL THEN
        PERFORM pg_notify('gstable_sessions', NEW.session_id);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER sessions_tell AFTER UPDATE ON sessions FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state OR OLD.expires_at IS DISTINCT FROM NEW.expires_at)
    EXECUTE FUNCTION tell_session();
CREATE TRIGGER payments_tell AFTER INSERT OR UPDATE ON payments
    FOR EACH ROW EXECUTE FUNCTION tell_session();
CREATE TRIGGER deposit_sightings_tell AFTER INSERT ON deposit_sightings
    FOR EACH ROW EXECUTE FUNCTION tell_session();
CREATE TRIGGER deposit_sweeps_tell AFTER INSERT ON deposit_sweeps
    FOR EACH ROW EXECUTE FUNCTION tell_session();

-- Confirmations grow with every block that was read: once a commit for each network.
CREATE FUNCTION tell_frontier() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('gstable_frontier', network) FROM (SELECT DISTINCT network FROM moved) AS one;
    RETURN NULL;
END
$$;

CREATE TRIGGER chain_blocks_tell AFTER INSERT ON chain_blocks
    REFERENCING NEW TABLE AS moved FOR EACH STATEMENT EXECUTE FUNCTION tell_frontier();
