"""`sam2lab train` trains the classroom model, from nothing or from weights."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from sam2lab import settings
from sam2lab.cli.arguments import add_cutouts, add_training

SUMMARY = "train nano, the classroom model"
TEXT = """\
Train SAM 2.1's own classes with a small encoder, on scenes that are drawn and
on what is given with --coco and --cutouts, and write weights, log and an ONNX
bundle. One photo and one picture in five are kept out of training, to measure
on. Training begins from nothing, or goes on from --weights. At its end the
scores learn once more, on whole photos.

The run saves itself every few minutes and when it is interrupted; the same
command takes it up again. Two cores need about two hours, a GPU minutes; --toy
a minute.

examples:
  {prog} train --toy --out toy
  {prog} train --coco my_photos --cutouts emoji --out models/my-nano
  {prog} train --coco my_photos --device cuda --workers 8
  {prog} train --weights auto --coco my_photos
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what can be typed after `train`."""
    parser.add_argument(
        "--weights",
        metavar="WHICH",
        help="go on from these: 'auto', those that ship, or a path to nano's .safetensors",
    )
    add_training(parser, "my-nano")
    add_cutouts(parser)
    parser.add_argument("--device", default="cpu", help="'cpu' (the default) or 'cuda'")
    parser.add_argument(
        "--workers", type=int, default=1, help="processes that draw scenes; 1 by default"
    )


def run(arguments: Namespace) -> None:
    """Train to the end and write the files; prints their folder."""
    from sam2lab.runtime.bundle_folder import check_free
    from sam2lab.scenes import CocoFolder, Mixture
    from sam2lab.train import FULL, MORE, TOY, Trainer, save_model

    name, place = ("toy", "toy") if arguments.toy else ("nano", "my-nano")
    schedule = TOY if arguments.toy else FULL
    if arguments.weights is not None:
        if arguments.toy:
            raise ValueError("--toy begins from nothing; leave it or --weights out")
        name, schedule = "more", MORE
    out = arguments.out or settings.models_folder() / place
    # Now, not in two hours.
    check_free(out)
    folders = [CocoFolder(path) for path in arguments.coco]
    scenes, unseen = (
        Mixture(folders, arguments.cutouts, arguments.seed, held_out) for held_out in (False, True)
    )
    trainer = Trainer(
        scenes,
        schedule,
        arguments.folder or settings.cache_folder() / "runs" / f"{name}-{arguments.seed}",
        unseen=unseen,
        weights=arguments.weights,
        seed=arguments.seed,
        device=arguments.device,
        workers=arguments.workers,
    )
    trainer.run()
    if schedule.score_pictures:
        trainer.fit_scores(Mixture(folders, arguments.cutouts, arguments.seed, whole=True))
    print(save_model(trainer, out).folder)
