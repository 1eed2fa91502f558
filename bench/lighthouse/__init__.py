"""What Lighthouse says of the payer's pages: a phone on slow 4G, four times slower than this."""
