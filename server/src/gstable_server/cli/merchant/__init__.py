"""The verbs of merchants' developers: everything through the API, with a key of the merchant's."""
