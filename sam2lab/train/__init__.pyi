"""What `from sam2lab.train import …` offers."""

from .memory import MEMORY_FULL as MEMORY_FULL
from .memory import MEMORY_TOY as MEMORY_TOY
from .memory import MemoryTrainer as MemoryTrainer
from .saving import save_model as save_model
from .schedule import FULL as FULL
from .schedule import MORE as MORE
from .schedule import TOY as TOY
from .schedule import Phase as Phase
from .schedule import Schedule as Schedule
from .scores import fit_scores as fit_scores
from .trainable import TrainableModel as TrainableModel
from .trainer import Trainer as Trainer
from .validation import validate as validate
