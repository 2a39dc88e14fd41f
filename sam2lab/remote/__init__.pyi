"""What `import sam2lab.remote` offers."""

from .client import RemoteEngine as RemoteEngine
from .client import Segmented as Segmented
from .connection import RefusedError as RefusedError
from .connection import RemoteError as RemoteError
from .connection import Trip as Trip
from .features import RemoteFeatures as RemoteFeatures
from .network import ASSUMED_NETWORKS as ASSUMED_NETWORKS
from .network import SimulatedNetwork as SimulatedNetwork
from .server import Server as Server
from .server import serve as serve
