"""The program refuses what it cannot use: it says what came and what to do, and writes nothing.

It runs under AddressSanitizer and UndefinedBehaviorSanitizer.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from sam2lab.measure import native
from tests.conftest import REPOSITORY
from tests.native.conftest import NANO
from tests.native.program import Program, Said

CAT = REPOSITORY / "data" / "photos" / "cat.jpg"
ARGUMENTS, MODEL, PHOTO, LIBRARY, OUTPUT = 2, 3, 4, 5, 6
CLICK = ("--point", "170,110")


def refused(said: Said, code: int, words: str) -> None:
    """One line, with the words and nothing of a sanitizer, and the code."""
    assert said.code == code, said
    assert said.out == ""
    assert re.fullmatch(rf"sam2lab-segment: .*{words}.*\n", said.error), said.error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "wanted a model's folder and a photo, not 0"),
        ((NANO, *CLICK), "not 1 of them"),
        ((NANO, CAT, CAT, *CLICK), "not 3 of them"),
        ((NANO, CAT, "--points", "1,2"), "there is no --points; .*--help"),
        ((NANO, CAT, "--point"), "--point lacks its value"),
        ((NANO, CAT), "no prompt; wanted --point X,Y or --box"),
        ((NANO, CAT, *CLICK), "--out is missing"),
        ((NANO, CAT, *CLICK, "--out", "mask.jpg"), "--out is 'mask.jpg'; wanted .* ends in .png"),
        *(
            ((NANO, CAT, "--point", point), f"--point is '{point}'; wanted x,y on the object")
            for point in ("", "1", "a,b", "1,2,0,1", "nan,1", "inf,1", "1e999,1", "0x10,1", " 1,2")
        ),
        *(
            ((NANO, CAT, "--point", point), "--point is .*; wanted x,y on the object")
            for point in (",", "1,", "1,,2", "1,2,", "1.2.3,4", "--3,4", "1e,2", "1,2;3", "١,٢")
        ),
        ((NANO, CAT, "--point", "1,2,3"), "the label 3; wanted 1 on the object or 0 beside it"),
        ((NANO, CAT, "--box", "1,2,3"), "--box is '1,2,3'; wanted two opposite corners"),
        ((NANO, CAT, "--box", "1,2,3,4,5"), "wanted two opposite corners"),
        ((NANO, CAT, "--box", "1,2,3,4", "--box", "1,2,3,4"), "--box is given twice"),
        *(
            ((NANO, CAT, *CLICK, "--threads", many), f"--threads is '{many}'; wanted a whole")
            for many in ("0", "-1", "1.5", "99999999999999999999", "two", "")
        ),
        ((NANO, CAT, *CLICK, "--repeat", "3", "--out", "a.png"), "go together; --csv is missing"),
        ((NANO, CAT, *CLICK, "--csv", "a.csv", "--out", "a.png"), "--repeat is missing"),
    ],
)
def test_arguments(checked_program: Program, arguments: tuple, words: str) -> None:
    refused(checked_program.run(*arguments), ARGUMENTS, words)


@pytest.fixture
def segment(checked_program: Program, tmp_path: Path) -> Callable[..., Said]:
    """Run the program, which must leave a mask from before, and nothing beside it."""

    def run(model: Path = NANO, photo: Path = CAT, *arguments: object) -> Said:
        folder = tmp_path / "out"
        folder.mkdir(exist_ok=True)
        (folder / "mask.png").write_bytes(b"before")
        options = arguments or CLICK
        said = checked_program.segment(model, photo, folder / "mask.png", *options)
        assert [file.name for file in folder.iterdir()] == ["mask.png"]
        assert (folder / "mask.png").read_bytes() == b"before"
        return said

    return run


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (("--point", "700,110"), r"--point holds the point \(700, 110\), out of the photo"),
        (("--point", "1,2", "--box", "0,0,10,-200"), r"--box holds the point \(10, -200\)"),
        (("--point", "1e300,0"), "wanted x from -225.5 to 676.5 and y from -150 to 450"),
    ],
)
def test_prompts_out_of_the_photo(segment: Callable, prompt: tuple, words: str) -> None:
    refused(segment(NANO, CAT, *prompt), ARGUMENTS, words)


def test_photos(segment: Callable, tmp_path: Path) -> None:
    """Others are in test_pictures.py, where one process reads many."""
    refused(segment(NANO, tmp_path / "nowhere.jpg"), PHOTO, "photo: .*nowhere.jpg cannot be read")
    refused(segment(NANO, NANO), PHOTO, "photo: .*nano cannot be read")


SEALED = json.loads((NANO / "bundle.json").read_text())


def changed(*path: str | int, to: Any) -> bytes:
    """bundle.json with another value at one place; `...` takes the field away."""
    sealed = json.loads(json.dumps(SEALED))
    *way, last = path
    place = sealed
    for step in way:
        place = place[step]
    if to is ...:
        del place[last]
    else:
        place[last] = to
    return json.dumps(sealed).encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        *((json.dumps(SEALED).encode()[:cut], "cannot be read") for cut in (0, 1, 9, 200, 900)),
        *(
            (content, "cannot be read .* is wanted at byte")
            for content in (
                b"{} {}",
                b"[1,]",
                b'{"a":1,}',
                b"{'a':1}",
                b'{"a" 1}',
                b"01",
                b"1.",
                b"-",
                b"+1",
                b".5",
                b"1e",
                b"nul",
                b'"\\x"',
                b'"\\u12"',
                b'"\\ud800"',
                b'"\\udc00"',
                b'"\n"',
                b'"',
                b"\0",
                b'"a\0"',
                b"[" * 100000,
                b'{"a":' * 100000,
                b"\xff\xfe",
                b"NaN",
            )
        ),
        (b"[]", "'/format' must be a text"),
        (b'"\\ud83d\\ude00"', "'/format' must be a text"),
        (changed("format", to="other"), "it is no sam2lab-bundle"),
        (changed("version", to=2), "'/version' must be a whole number from 1 to 1"),
        (changed("model", to=...), "'/model/input_size/0' must be a whole number"),
        (changed("model", to=3), "'/model/input_size/0' must be a whole number"),
        *(
            (changed("model", "input_size", to=size), "must be")
            for size in ("512", [512], [512, "a"], [512, -1], [512, 1e9], [512, 0.5], [10**400, 1])
        ),
        (changed("model", "input_size", to=[256, 512]), "shape of 'image' does not fit"),
        (changed("model", "stride", to=8), "shape of 'mask_input' does not fit"),
        (changed("model", "stride", to=0), "'/model/stride' must be a whole number"),
        (changed("model", "mean", to=[0, 0]), "'mean' must have 3 numbers"),
        (changed("model", "std", to=["a"] * 3), "'std' must have 3 numbers"),
        (changed("graphs", "decoder", to=...), "'/graphs/decoder/file' must be a text"),
        (changed("graphs", "encoder", "inputs", to=[]), "no input is called 'image'"),
        (changed("graphs", "encoder", "inputs", 0, "dtype", to="int8"), "must be float32"),
        (changed("graphs", "encoder", "inputs", 0, "shape", to=[1]), "does not fit"),
        *(
            (changed("graphs", "encoder", "file", to=file), "must be the plain name of a file")
            for file in ("", ".", "..", "../encoder.onnx", "a\\b", "c:d", "a\0b")
        ),
        (changed("graphs", "encoder", "file", to="a.tflite"), "not an ONNX file"),
        (changed("graphs", "encoder", "file", to="a.onnx"), "lacks a.onnx; copy the whole folder"),
        (changed("graphs", "encoder", "bytes", to=7), "was sealed with 7"),
        (
            changed("graphs", "encoder", "bytes", to=-1),
            "'/graphs/encoder/bytes' must be a whole number",
        ),
    ],
)
def test_bundle_files(segment: Callable, tmp_path: Path, content: bytes, words: str) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for graph in ("encoder.onnx", "decoder.onnx"):
        (model / graph).symlink_to(NANO / graph)
    (model / "bundle.json").write_bytes(content)
    refused(segment(model), MODEL, words)


def test_no_bundle(segment: Callable, tmp_path: Path) -> None:
    refused(segment(tmp_path / "nowhere"), MODEL, "point at a folder that python -m sam2lab export")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of nano's files that the program reads."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("bundle.json", "encoder.onnx", "decoder.onnx"):
        shutil.copy(NANO / name, folder / name)
    return folder


def replace(model: Path, graph: str, content: bytes) -> None:
    """Give the copy of nano another graph, and seal it."""
    (model / f"{graph}.onnx").write_bytes(content)
    sealed = json.loads((model / "bundle.json").read_text())
    seal = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    sealed["graphs"][graph] |= seal
    (model / "bundle.json").write_text(json.dumps(sealed))


def test_a_graph_that_was_changed(segment: Callable, model: Path) -> None:
    graph = bytearray((model / "decoder.onnx").read_bytes())
    graph[len(graph) // 2] ^= 1
    (model / "decoder.onnx").write_bytes(graph)
    refused(segment(model), MODEL, "decoder.onnx was changed after it was sealed")


@pytest.mark.parametrize(
    ("graph", "words"),
    [(b"no graph", "encoder.onnx cannot be opened by onnxruntime"), (None, "fails in onnxruntime")],
)
def test_a_graph_that_is_another(
    segment: Callable, model: Path, graph: bytes | None, words: str
) -> None:
    """Sealed as it should be: here the library's own words are told."""
    graph = (NANO / "memory_encoder.onnx").read_bytes() if graph is None else graph
    replace(model, "encoder", graph)
    refused(segment(model), MODEL, words)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [(TensorProto.FLOAT, (1, 3, 160, 160)), (TensorProto.DOUBLE, (1, 3, 128, 128))],
)
@pytest.mark.parametrize("declared", [True, False])
def test_a_decoder_that_answers_otherwise(
    segment: Callable, model: Path, kind: int, shape: tuple[int, ...], declared: bool
) -> None:
    """It writes into the program's memory, which has the size of the answer that is sealed."""
    decoder = onnx.load(NANO / "decoder.onnx").graph
    masks = helper.make_tensor_value_info("masks", kind, shape if declared else [None] * 4)
    value = helper.make_tensor("value", kind, [1], [0])
    nodes = [
        helper.make_node("Constant", [], ["shape"], value_ints=shape),
        helper.make_node("ConstantOfShape", ["shape"], ["masks"], value=value),
        helper.make_node("Constant", [], ["iou_predictions"], value_floats=[0.0, 0.0, 0.0]),
    ]
    graph = helper.make_graph(nodes, "other", decoder.input, [masks, decoder.output[1]])
    other = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    replace(model, "decoder", other.SerializeToString())
    said = segment(model)
    assert (said.code, said.out) == (MODEL, "")
    assert "decoder.onnx fails in onnxruntime: " in said.error


class TestTheLibrary:
    """How onnxruntime is found, and what is said where it is not."""

    @staticmethod
    def run(program: Program, out: Path, *arguments: object, **variables: object) -> Said:
        environment = {k: v for k, v in os.environ.items() if k in ("PATH", "SYSTEMROOT")}
        environment |= {name: str(value) for name, value in variables.items()}
        return program.run(NANO, CAT, *CLICK, "--out", out, *arguments, environment=environment)

    @pytest.mark.parametrize(
        ("file", "words"), [("nothing.so", "No such file|cannot open"), ("text.so", "header|short")]
    )
    def test_a_file_that_is_no_library(
        self, checked_program: Program, tmp_path: Path, file: str, words: str
    ) -> None:
        (tmp_path / "text.so").write_text("text")
        out = tmp_path / "mask.png"
        said = self.run(checked_program, out, "--onnxruntime", tmp_path / file)
        refused(said, LIBRARY, f"--onnxruntime is .*{file}, which cannot be used .*({words})")
        said = self.run(checked_program, out, SAM2LAB_ONNXRUNTIME=tmp_path / file)
        refused(said, LIBRARY, f"SAM2LAB_ONNXRUNTIME is .*{file}, which cannot be used")
        assert not out.exists()

    def test_another_library(self, checked_program: Program, tmp_path: Path) -> None:
        other = native.onnxruntime_library().with_name("libonnxruntime_providers_shared.so")
        if not other.is_file():
            pytest.skip("this wheel has no other library")
        said = self.run(checked_program, tmp_path / "mask.png", "--onnxruntime", other)
        refused(said, LIBRARY, "OrtGetApiBase")

    def test_that_of_the_variable(self, program: Program, library: Path, tmp_path: Path) -> None:
        said = self.run(program, tmp_path / "mask.png", SAM2LAB_ONNXRUNTIME=library)
        assert said.code == 0, said

    @pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
    def test_that_of_an_environment(
        self, program: Program, library: Path, tmp_path: Path, variable: str
    ) -> None:
        empty = self.run(program, tmp_path / "mask.png")
        if empty.code == 0:
            pytest.skip("the system has an onnxruntime, which comes first")
        refused(empty, LIBRARY, "no onnxruntime was found, .* --onnxruntime")
        packages = "Lib/site-packages" if os.name == "nt" else "lib/python3.13/site-packages"
        folder = tmp_path / packages / "onnxruntime" / "capi"
        folder.mkdir(parents=True)
        (folder / library.name).symlink_to(library)
        said = self.run(program, tmp_path / "mask.png", **{variable: tmp_path})
        assert said.code == 0, said


class TestWriting:
    @pytest.mark.parametrize("place", ["nowhere/mask.png", "folder.png"])
    def test_a_place_that_cannot_be_written(
        self, checked_program: Program, tmp_path: Path, place: str
    ) -> None:
        (tmp_path / "folder.png" / "kept").mkdir(parents=True)
        before = sorted(tmp_path.rglob("*"))
        said = checked_program.segment(NANO, CAT, tmp_path / place, *CLICK)
        refused(said, OUTPUT, f"{place} cannot be written .*; choose another place")
        assert sorted(tmp_path.rglob("*")) == before
