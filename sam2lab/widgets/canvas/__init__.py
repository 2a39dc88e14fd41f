"""The photo on its canvas: its place, the drawings over it, and pointer and keys."""
