"""What `import sam2lab.qnn` offers."""

from .chips import CHIPS as CHIPS
from .chips import Chip as Chip
from .chips import chip as chip
from .compiling import QnnError as QnnError
from .compiling import Report as Report
from .compiling import to_context as to_context
from .compiling import to_dlc as to_dlc
from .eight_bits import Ranges as Ranges
from .eight_bits import in_eight_bits as in_eight_bits
from .eight_bits import ranges_of as ranges_of
from .emulated import compiled as compiled
from .engines import ProcessorEngine as ProcessorEngine
from .engines import QnnEmulator as QnnEmulator
from .half_precision import for_half_precision as for_half_precision
