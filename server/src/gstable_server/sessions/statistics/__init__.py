"""How many sessions there were, for the console."""
