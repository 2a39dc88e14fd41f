"""What `import sam2lab.hub` offers."""

from .client import Client as Client
from .errors import HubError as HubError
from .results import fetch as fetch
from .results import masks as masks
from .results import profiles as profiles
from .submitting import devices as devices
from .submitting import refresh as refresh
from .submitting import submit as submit
from .work import Work as Work
