from .joining import joined as joined
from .page import write_page as write_page
from .vendored import VENDORED as VENDORED
from .vendored import vendored as vendored
