"""Turn a model into files that other runtimes serve."""

# First of all: it makes sam2 importable wherever torchvision is not torch's partner.
import sam2lab.reference as _reference  # noqa: F401
