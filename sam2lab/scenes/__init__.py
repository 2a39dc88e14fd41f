"""Pictures with exact masks: drawn, pasted together, or read from a folder in COCO's format.

>>> from sam2lab.scenes import Mixture
>>> Mixture().scene(7, (64, 64)).image.shape
(64, 64, 3)
"""

from sam2lab.runtime.facade import facade

# What is offered stands in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, __all__ = facade(__name__, __file__)
