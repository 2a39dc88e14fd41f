"""Engines in, DataFrames out: nothing here draws or prints, and units stand in column names.

```python
from sam2lab.measure import evaluate, ground_truth, summarise_accuracy

result = evaluate({"onnx": "models/nano"}, ground_truth.coco("data/tiny_coco"), clicks=3)
summarise_accuracy(result.table)
```
"""

from sam2lab.runtime.facade import facade

# The names are in __init__.pyi; each is imported when it is first used.
__getattr__, __dir__, __all__ = facade(__name__, __file__)
