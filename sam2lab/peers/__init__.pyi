"""The names that `import sam2lab.peers` offers."""

from .bench import compare as compare
from .capability_table import capabilities as capabilities
from .comparison import Comparison as Comparison
from .job import Job as Job
from .markdown import report as report
from .models import EngineModel as EngineModel
from .models import Model as Model
from .models import TwoGraphs as TwoGraphs
from .table import PEERS as PEERS
from .table import Peer as Peer
from .table import PeerRow as PeerRow
from .table import register as register
