"""The ``gstable`` command of a server's operator and developer."""

from __future__ import annotations

from gstable_server.cli.app import main

__all__ = ["main"]
