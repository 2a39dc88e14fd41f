"""What `import sam2lab.quantize` offers."""

from .calibration import calibration_images as calibration_images
from .calibration_ranges import Spread as Spread
from .calibration_ranges import rounding as rounding
from .model_parts import parts as parts
from .qdq import Calibrated as Calibrated
from .qdq import calibrate as calibrate
from .qdq import quantize as quantize
from .recipe import Recipe as Recipe
from .sensitivity import ALL as ALL
from .sensitivity import Damage as Damage
from .sensitivity import Judge as Judge
from .sensitivity import blocks as blocks
from .sensitivity import spare as spare
from .sensitivity import sweep as sweep
from .tradeoffs import pareto as pareto
from .tradeoffs import recipes as recipes
