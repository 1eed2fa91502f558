"""Cold backfill of payments into a book, against Ponder on the same chain and database."""
