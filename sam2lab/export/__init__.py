"""Turn a model in torch into files that other runtimes serve.

```python
from sam2lab.export import export
from sam2lab.reference import zoo

export(zoo.load("tiny"), "models/tiny")
```
"""

import lazy_loader

# Before anything here imports sam2: it makes sam2 importable where torchvision is missing or does
# not match torch.
import sam2lab.reference as _reference  # noqa: F401

# What is offered stands in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
