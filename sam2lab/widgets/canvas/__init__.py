"""The photo on its canvas: where it lies, what is drawn over it, what points at it."""
