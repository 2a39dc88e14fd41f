"""`sam2lab train-memory` teaches nano to follow objects through videos."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from sam2lab import settings
from sam2lab.cli.arguments import add_training

SUMMARY = "teach nano, the classroom model, to follow objects through videos"
TEXT = """\
Train the memory of a nano on clips in which things move, hide, leave and return
over photos, and write weights, log and an ONNX bundle. Its answers on images
stay as they are. A memory that is trained already goes on. At the end it prints
what `clips` prints of the bundle.

The run saves itself every few minutes and when it is interrupted; the same
command takes it up again. Two cores need three quarters of an hour, and ten
minutes for the figures; --toy a minute.

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
    """Train to the end, write the files, and print what unseen clips say of them."""
    from sam2lab.cli import clips
    from sam2lab.opening import open_segmenter
    from sam2lab.reference import zoo
    from sam2lab.runtime.bundle_folder import check_free
    from sam2lab.scenes import CocoFolder, Mixture, MovingScenes
    from sam2lab.train import MEMORY_FULL, MEMORY_TOY, MemoryTrainer, save_model

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
        workers=1,
    )
    trainer.run()
    print(save_model(trainer, out).folder)
    engine = open_segmenter(out).engine
    many, long = (2, 4) if arguments.toy else (clips.CLIPS, clips.FRAMES)
    clips.print_figures(str(out), engine, unseen, many, long)
