"""How a merchant looks to payers, and how payers reach it."""
