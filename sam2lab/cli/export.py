"""`sam2lab export` writes a model as files, for computers or for phones."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from sam2lab import settings
from sam2lab.cli.arguments import add_size, add_version, count, height_and_width
from sam2lab.runtime.engines.protocol import LITERT_PRECISIONS, POINTS, SIZES, TARGETS

SUMMARY = "write a model as files for ONNX Runtime or for phones"
TEXT = """\
Write a model as a bundle: a folder with encoder.onnx and decoder.onnx for
photos, memory_attention.onnx and memory_encoder.onnx for videos, and
bundle.json, which says what they are. ONNX Runtime serves them without torch,
and tools that load samexporter's files load them. Prints the folder.

With --target litert the files are encoder.tflite and decoder.tflite, for photos
on phones: one prompt at a time, with a fixed number of points. Their masks are
compared with the model's before they appear. With --target qnn they are for
the NPUs of Qualcomm's chips: .dlc files, or .bin files for one --chip.

Exporting itself takes torch. An interrupted export leaves nothing behind.

examples:
  {prog} export tiny
  {prog} export tiny --input-size 720x1280
  {prog} export large --precision fp16
  {prog} export tiny --precision w8a8 --calibration my/photos
  {prog} export small --weights my.pt --out models/mine
  {prog} export base_plus --weights random
  {prog} export nano --target litert --precision w8a8
  {prog} export nano --target qnn --chip "Snapdragon 8 Gen 3"
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what can be typed after `export`."""
    add_size(parser, SIZES)
    parser.add_argument(
        "--weights",
        default="auto",
        metavar="WHICH",
        help="'auto' (the default) is Meta's checkpoint, fetched on first use, and for nano the "
        "weights that were trained here; 'random' is the real architecture for time and numeric "
        "parity, whose masks mean nothing; else the path of a fine-tuned model's .pt or "
        ".safetensors file",
    )
    add_version(parser)
    parser.add_argument(
        "--input-size",
        type=height_and_width,
        metavar="HxW",
        help="height and width that every photo is resized to, in pixels and multiples of 16; "
        "by default the model's own, 1024x1024, for nano 512x512",
    )
    parser.add_argument(
        "--precision",
        choices=LITERT_PRECISIONS,
        default="float",
        help="'float' (the default), 'fp16' for accelerators: half the bytes, while inputs and "
        "outputs stay float32, or 'w8a8' for processors: weights and activations in 8 bits; for "
        "LiteRT also 'w8a8-full', for accelerators that compute in 8 bits only, and 'w8a16'",
    )
    parser.add_argument(
        "--target",
        choices=TARGETS,
        default="onnx",
        help="'onnx' (the default) for computers, 'litert' for phones, 'qnn' for the NPUs of "
        "Qualcomm's chips",
    )
    parser.add_argument(
        "--chip",
        metavar="NAME",
        help="for qnn: compile for this chip, such as 'Snapdragon 8 Gen 3'",
    )
    parser.add_argument(
        "--allow-cpu",
        action="store_true",
        help="for qnn: write the files although some nodes would run on the phone's processor",
    )
    parser.add_argument(
        "--points",
        type=count,
        default=POINTS,
        help=f"for phones: how many points a prompt may have, {POINTS} by default; a box is two",
    )
    parser.add_argument(
        "--accept-difference",
        action="store_true",
        help="for phones: write the files although their masks differ from the model's",
    )
    parser.add_argument(
        "--calibration",
        metavar="FOLDER",
        help="for w8a8: photos like those that the model will see, in a folder or in COCO's "
        "format; by default those that ship, and drawn scenes",
    )
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        help="where to write; by default models/ and a name that says what it is, where "
        "open_segmenter looks too",
    )


def run(arguments: Namespace) -> None:
    """Write a bundle and print its folder."""
    from sam2lab.export import check_export, export
    from sam2lab.opening import bundle_name
    from sam2lab.qnn import chip
    from sam2lab.reference import zoo

    name = bundle_name(
        arguments.size,
        arguments.precision,
        arguments.weights,
        arguments.version,
        arguments.input_size,
        arguments.target,
        arguments.points,
        chip(arguments.chip).part if arguments.chip else None,
    )
    folder = arguments.out or settings.models_folder() / name
    # Now, not when a checkpoint has been fetched.
    how = {name: getattr(arguments, name) for name in ("target", "points", "chip", "allow_cpu")}
    check_export(folder, arguments.precision, arguments.calibration, **how)
    model = zoo.load(
        arguments.size,
        weights=arguments.weights,
        version=arguments.version,
        input_size=arguments.input_size,
    )
    bundle = export(
        model,
        folder,
        precision=arguments.precision,
        calibration=arguments.calibration,
        accept_difference=arguments.accept_difference,
        **how,
    )
    print(bundle.folder)
