"""What `import sam2lab` offers."""

from ._version import __version__ as __version__
from .opening import open_segmenter as open_segmenter
from .runtime.bundle import Bundle as Bundle
from .runtime.cache import EmbeddingCache as EmbeddingCache
from .runtime.engines.onnx import OnnxEngine as OnnxEngine
from .runtime.everything import AutomaticMaskGenerator as AutomaticMaskGenerator
from .runtime.predictor import ImagePredictor as ImagePredictor
from .runtime.segmenter import Prediction as Prediction
from .runtime.segmenter import Segmenter as Segmenter
from .runtime.store import EmbeddingStore as EmbeddingStore
from .runtime.video.predictor import VideoPredictor as VideoPredictor
from .runtime.video.stream import VideoStream as VideoStream
from .widgets.clicker import Clicker as Clicker
from .widgets.video_clicker import VideoClicker as VideoClicker
