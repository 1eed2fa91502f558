"""Money that came in and pays nothing as asked: what it is, and what people decide about it."""
