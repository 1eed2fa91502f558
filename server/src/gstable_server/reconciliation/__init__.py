"""Whether the book says what the chains say: an independent reading of both, compared.

Nothing here shares code with what writes the book, but for the configuration: an error there would
else be repeated here and found by nobody.
"""
