"""What `import sam2lab.export` offers."""

from .device.graphs import device_graphs as device_graphs
from .everywhere import export_everywhere as export_everywhere
from .everywhere import targets_here as targets_here
from .targets import check_export as check_export
from .targets import export as export
