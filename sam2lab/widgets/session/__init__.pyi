from .engines import EngineFailed as EngineFailed
from .session import Disagreement as Disagreement
from .session import Session as Session
from .storage import SessionFileError as SessionFileError
from .workspace import Timings as Timings
