"""The controls around the photo, one panel in each module.

A panel takes the functions that it calls when a user changes it, and `show` brings it up to date.
"""
