"""The book: double entry per asset, append only, balanced by the database itself."""
