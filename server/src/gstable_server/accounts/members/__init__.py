"""The people behind a merchant, as the dashboard knows them."""
