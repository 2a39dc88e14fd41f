"""Runs the original, torch and sam2, behind the same protocol as the exported files.

Importing this package makes sam2 importable where it otherwise is not, see `_torchvision`.
"""

from sam2lab.reference import _torchvision as _torchvision
