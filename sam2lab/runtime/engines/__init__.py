"""Engines: the protocol they share, the table that lists them, and those that need no torch."""
