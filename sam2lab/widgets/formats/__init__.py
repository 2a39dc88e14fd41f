"""Files that objects are taken away in."""
