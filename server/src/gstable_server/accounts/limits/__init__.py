"""How much one person alone may give back, and how that is changed."""
