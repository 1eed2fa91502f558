"""The business, its accounts and keys, its looks, and how the installation does."""
