"""Durable signed deliveries per second, and how healthy endpoints fare while others hang."""
