"""The merchant API's edge: authentication, strict bodies, idempotency, envelope, documentation."""
