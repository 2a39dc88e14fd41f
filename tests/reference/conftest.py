"""The package goes first: it makes sam2 importable wherever torchvision is not torch's partner."""

import sam2lab.reference as _first  # noqa: F401
