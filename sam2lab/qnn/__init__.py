"""Files for the NPUs of Qualcomm's chips, made and checked with what pip brings.

`chip` finds a chip by its name, `in_eight_bits` quantises a graph of
`sam2lab.export.device`, and `to_dlc` and `to_context` compile it.
"""

from sam2lab.runtime.facade import facade

# What is offered stands in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, __all__ = facade(__name__, __file__)
