"""A Jupyter-first workbench for Segment Anything Model 2."""

__version__ = "0.1.0"
