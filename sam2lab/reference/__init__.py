"""The original, torch and sam2, behind the same protocol as the exported files.

Importing this package first is what makes sam2 importable everywhere: see `_torchvision`.
"""

from sam2lab.reference import _torchvision as _torchvision
