"""A Jupyter-first workbench for Segment Anything Model 2: a click becomes a mask.

An image is a path, encoded bytes, a PIL image or an RGB array; a click is (x, y) in its pixels,
labelled 1 for "this" and 0 for "not this".

>>> import numpy as np
>>> import sam2lab
>>> segmenter = sam2lab.open_segmenter("nano")
>>> photo = np.zeros((60, 80, 3), np.uint8)
>>> (prediction,) = segmenter.segment_images(
...     photo, point_coordinates=[[40, 30]], point_labels=[1]
... )
>>> prediction.best.shape, prediction.best.dtype
((60, 80), dtype('bool'))
"""

import os

# onnxruntime would otherwise write a device number into the user's home and report what is run.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from sam2lab._version import __version__ as __version__

# Imported at once, because it gives the packages below a way to open engines by name.
from sam2lab.opening import open_segmenter as open_segmenter
from sam2lab.runtime.facade import facade

# __init__.pyi lists the names that are offered; each is imported when it is first used.
__getattr__, __dir__, __all__ = facade(__name__, __file__)
