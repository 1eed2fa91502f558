-- What a page of one try shows beside the answer's body: where it was sent, and the answer's
-- headers, one a line and cut. Tries from before this have neither.
ALTER TABLE webhook_attempts ADD COLUMN url text, ADD COLUMN response_headers text;

-- Few of all rows: lists of what failed and of what was given up read nothing else.
CREATE INDEX webhook_attempts_failed ON webhook_attempts (webhook_id, attempt_number DESC)
    WHERE status_code IS NULL OR status_code NOT BETWEEN 200 AND 299;
CREATE INDEX webhook_messages_given_up ON webhook_messages (webhook_id, message_number DESC)
    WHERE state = 'exhausted';
