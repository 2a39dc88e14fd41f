"""Turn an exported bundle into one that computes in 8 bits, and measure what that costs.

```python
from sam2lab.quantize import Recipe, quantize

quantize("models/nano", "models/nano-w8a8", Recipe(calibration="mse"))
```

This needs `onnx`, never torch: a bundle's files are all it reads.
"""

from sam2lab.runtime.facade import facade

# What is offered stands in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, __all__ = facade(__name__, __file__)
