"""What people did in the console, each act chained to the one before."""
