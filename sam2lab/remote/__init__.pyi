"""What `import sam2lab.remote` offers."""

from .client import RemoteEngine as RemoteEngine
from .client import Segmented as Segmented
from .client import Trip as Trip
from .features import RemoteFeatures as RemoteFeatures
from .network import ASSUMED_NETWORKS as ASSUMED_NETWORKS
from .network import SimulatedNetwork as SimulatedNetwork
from .server import Server as Server
from .server import serve as serve
from .service import Limits as Limits
from .wire import FeaturesGone as FeaturesGone
from .wire import RefusedError as RefusedError
from .wire import RemoteError as RemoteError
