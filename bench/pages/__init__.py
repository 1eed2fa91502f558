"""How soon open pages of payers show a change, and what it costs the server that tells them."""
