"""How long the console takes to list, find and show one of a million sessions.

Beside every measurement the bare query that it comes from, in the same run; and how much memory an
export of all of them takes.
"""
