"""The classroom model from nothing: scenes in, weights out. Needs torch and sam2."""
