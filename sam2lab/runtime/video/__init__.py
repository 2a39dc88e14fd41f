"""Follows objects through a video with SAM 2's memory, without torch."""
