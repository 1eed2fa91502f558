"""Values and words shared by every room; standard library only."""
