"""Complete payments per second, held: create, pay on chain, index, book, webhook, read."""
