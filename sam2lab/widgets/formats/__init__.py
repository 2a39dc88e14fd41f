"""The formats in which objects leave a session, as the bytes of files.

To add a format, write a function from an `AnnotatedPhoto` to files and register it:

```python
from sam2lab.widgets.formats import AnnotatedPhoto, Files, Format, register


def areas(annotated: AnnotatedPhoto) -> Files:
    lines = [f"{each.name},{each.mask.sum()}\\n" for each in annotated.objects]
    return {f"{annotated.stem}_areas.csv": "".join(lines).encode()}


register(Format("areas", "Areas as CSV", areas))
```

Then *Take away* in a new clicker offers it, and `session.export("areas")` makes it. Formats of
videos are made from an `AnnotatedVideo` and registered as a `VideoFormat`.
"""

from sam2lab.runtime.facade import facade

# What is offered stands in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, __all__ = facade(__name__, __file__)
