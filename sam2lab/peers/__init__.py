"""Compare our export with other ways to run SAM 2: same weights, photo and threads, by turns.

Every peer works in processes of its own: none has another's libraries in its memory, and the
others go on when one fails.

```python
from sam2lab.peers import compare, report

print(report(compare("nano", ["PyTorch"])))
```

To add a peer, write a class like `Peer` and `register` it.
"""

from sam2lab.runtime.facade import facade

# The names are in __init__.pyi; each is imported when it is first used.
__getattr__, __dir__, __all__ = facade(__name__, __file__)
