"""The photo on its canvas: how it lies there, what is drawn over it, and what points at it."""
