# Generated from agent/_async/__init__.py by sdk/scripts/unasync.py. Do not edit.
# isort: skip_file
# fmt: off
"""The synchronous client."""
