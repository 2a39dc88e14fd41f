"""Clicks on photos and what engines answer, without any widget: `Session` is the entrance."""

import lazy_loader

# What is offered stands in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
