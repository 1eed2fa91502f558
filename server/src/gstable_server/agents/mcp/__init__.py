"""The merchant API as tools of the Model Context Protocol. Everything goes over the SDK: this
package opens no database, and can do what its API key can do and nothing else.
"""
