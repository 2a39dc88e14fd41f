"""What `import sam2lab.export` offers."""

from .onnx import check_export as check_export
from .onnx import export as export
