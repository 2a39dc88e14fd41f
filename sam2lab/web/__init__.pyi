from .joining import joined as joined
from .vendored import VENDORED as VENDORED
from .vendored import vendored as vendored
