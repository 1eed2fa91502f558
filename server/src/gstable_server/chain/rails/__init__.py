"""Settlement rails: how money reaches a merchant when a plain transfer cannot bring it."""
