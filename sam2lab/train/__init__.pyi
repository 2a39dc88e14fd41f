"""What `from sam2lab.train import …` offers."""

from .saving import save_model as save_model
from .schedule import FULL as FULL
from .schedule import TOY as TOY
from .schedule import Phase as Phase
from .schedule import Schedule as Schedule
from .trainable import TrainableModel as TrainableModel
from .trainer import Trainer as Trainer
from .validation import validate as validate
