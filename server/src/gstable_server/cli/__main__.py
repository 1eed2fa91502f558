"""``python -m gstable_server.cli``."""

from gstable_server.cli.app import main

main()
