"""The merchant's console: plain pages and forms that need no script."""
