"""`sam2lab train-memory` teaches nano to follow objects through videos."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from sam2lab import settings
from sam2lab.cli.arguments import add_training

SUMMARY = "teach nano, the classroom model, to follow objects through videos"
TEXT = """\
Train the memory of a nano on clips in which things move, hide, leave and return
over photos, and write weights, log and an ONNX bundle. Its answers on images
stay as they are. A memory that is trained already goes on. Prints J (mean IoU)
by frame on unseen clips, for each way to begin, beside the first mask held
still and the image model re-prompted by its last box, and how often the object
is rightly called there or gone.

The run saves itself every few minutes and when it is interrupted; the same
command takes it up again. One core needs half an hour; --toy a minute.

examples:
  {prog} train-memory --toy --out toy-memory
  {prog} train-memory --coco my_photos --out models/my-nano
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what can be typed after `train-memory`."""
    parser.add_argument(
        "--weights",
        default="auto",
        metavar="WHICH",
        help="of the nano to teach: 'auto' (the one that ships), 'random', or the path of a file",
    )
    add_training(parser, "my-memory")


def run(arguments: Namespace) -> None:
    """Train to the end, print what unseen clips say, and write the files."""
    from sam2lab.reference import zoo
    from sam2lab.runtime.bundle_folder import check_free
    from sam2lab.scenes import CocoFolder, Mixture, MovingScenes
    from sam2lab.train import MEMORY_FULL, MEMORY_TOY, MemoryTrainer, examine, presence, save_model

    name = "toy-memory" if arguments.toy else "my-memory"
    out = arguments.out or settings.models_folder() / name
    check_free(out)
    folders = [CocoFolder(path) for path in arguments.coco]
    scenes, unseen = (
        MovingScenes(Mixture(folders, seed=arguments.seed, held_out=held_out))
        for held_out in (False, True)
    )
    trainer = MemoryTrainer(
        zoo.load("nano", weights=arguments.weights),
        scenes,
        MEMORY_TOY if arguments.toy else MEMORY_FULL,
        arguments.folder or settings.cache_folder() / "runs" / f"{name}-{arguments.seed}",
    )
    trainer.run()
    side, frames, clips = (64, 4, 8) if arguments.toy else (256, 8, 48)
    for what, values in examine(trainer.model, unseen, side, frames, clips).items():
        print(f"{what:28s}", *(f"{value:.2f}" for value in values))
    print("called so where it is there and where it is not, in clips in which it hides:")
    for first, shares in presence(trainer.model, unseen, side, frames, clips).items():
        print(f"{first:28s}", *(f"{share:.2f}" for share in shares))
    print(save_model(trainer, out).folder)
