"""The controls around the photo, one module for each panel."""
