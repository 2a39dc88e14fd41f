"""Clicks on photos and what engines answer, without any widget: `Session` is the entrance."""

from sam2lab.runtime.facade import facade

# What is offered stands in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, __all__ = facade(__name__, __file__)
