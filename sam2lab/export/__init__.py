"""Turn a model in torch into files that other runtimes serve.

```python
from sam2lab.export import export
from sam2lab.reference import zoo

export(zoo.load("tiny"), "models/tiny")
export(zoo.load("tiny"), "models/tiny-phone", target="litert", precision="w8a8")
```

`device_graphs` are the graphs that files for devices are made of.
"""

# Before anything here imports sam2: it makes sam2 importable where torchvision is missing or does
# not match torch.
import sam2lab.reference as _reference  # noqa: F401
from sam2lab.runtime.facade import facade

# What is offered stands in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, __all__ = facade(__name__, __file__)
