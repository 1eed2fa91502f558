"""x402: links and sessions that software pays by HTTP, with a signature in a header."""
