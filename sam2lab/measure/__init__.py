"""Engines in, DataFrames out: nothing here draws or prints, and units stand in column names."""
