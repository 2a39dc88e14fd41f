"""Files for the NPUs of Qualcomm's chips, made and checked with what pip brings.

`sam2lab.export.export(model, folder, target="qnn")` writes them: `in_eight_bits` quantises a graph
of `sam2lab.export.device`, `to_dlc` and `to_context` compile it. `chip` finds a chip by its name,
and `QnnEmulator` computes what the chip would.
"""

from sam2lab.runtime.facade import facade

# What is offered stands in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, __all__ = facade(__name__, __file__)
