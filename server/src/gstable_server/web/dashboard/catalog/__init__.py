"""Products, payment links and one-time pages."""
