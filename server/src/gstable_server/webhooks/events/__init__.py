"""What merchants were or will be told, read back: by page, one by one, and as a feed."""
