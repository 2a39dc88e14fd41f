"""What `from sam2lab.scenes import …` offers."""

from . import clicks as clicks
from .coco import CocoFolder as CocoFolder
from .coco import CocoObject as CocoObject
from .cutouts import CutoutFolder as CutoutFolder
from .example_clip import shipped_clip as shipped_clip
from .mixture import Mixture as Mixture
from .moving import MovingScenes as MovingScenes
from .scene import Scene as Scene
from .split import held_out as held_out
from .synthetic import draw as draw
