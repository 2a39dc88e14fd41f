"""Segment by clicking: `session` holds what a person did, other modules draw it."""
