"""A bundle is opened when it is whole and unchanged, and refused with the reason when it is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sam2lab.runtime.bundle import (
    BUNDLE_FILE,
    MEMORY_GRAPHS,
    Bundle,
    BundleError,
    Graph,
    Tensor,
)
from sam2lab.runtime.digests import sha256_of
from sam2lab.runtime.engines.protocol import ModelInfo
from sam2lab.runtime.video.protocol import VideoSettings

INFO = ModelInfo("mine", "tiny", (720, 1280), "random:3", precision="fp16", version="2.0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sealed bundle, whose graphs are not run."""
    folder = tmp_path / "mine"
    folder.mkdir()
    graphs = {}
    for name, inputs in {
        "encoder": (Tensor("image", "float32", ("B", 3, 720, 1280)),),
        "decoder": (
            Tensor("point_coords", "float32", ("L", "P", 2)),
            Tensor("mask_input", "float32", ("M", 1, 180, 320)),
        ),
    }.items():
        path = folder / f"{name}.onnx"
        path.write_bytes(f"the {name}".encode() * 1000)
        graphs[name] = Graph(path.name, sha256_of(path), path.stat().st_size, inputs, ())
    Bundle(folder, INFO, 20, graphs, {"torch": "2.13.0", "sam2lab": "0.1.0"}).seal()
    return folder


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what bundle.json says."""
    path = folder / BUNDLE_FILE
    sealed = json.loads(path.read_text())
    change(sealed)
    path.write_text(json.dumps(sealed))


def test_what_was_sealed_is_what_is_opened(folder: Path) -> None:
    bundle = Bundle.open(folder)
    assert bundle.info == INFO
    assert bundle.opset == 20
    assert bundle.made_with == {"torch": "2.13.0", "sam2lab": "0.1.0"}
    assert bundle.path("encoder") == folder / "encoder.onnx"
    assert bundle.graphs["decoder"].inputs[1].shape == ("M", 1, 180, 320)


def test_a_folder_may_be_given_as_text(folder: Path) -> None:
    assert Bundle.open(str(folder)) == Bundle.open(folder)


def test_a_bundle_may_be_moved(folder: Path) -> None:
    key = Bundle.open(folder).key
    moved = folder.rename(folder.with_name("elsewhere"))
    assert Bundle.open(moved).key == key


def test_sealing_leaves_one_file_more(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        *("bundle.json", "decoder.onnx", "encoder.onnx")
    ]


def test_the_description_is_for_people(folder: Path) -> None:
    described = Bundle.open(folder).describe()
    for said in ("mine (tiny, SAM 2.0)", "fp16", "720x1280", "seed 3", "decoder.onnx", "torch"):
        assert said in described
    assert "point_coords float32[L, P, 2]" in described


@pytest.mark.parametrize("graph", ["encoder", "decoder"])
@pytest.mark.parametrize("where", [0, 5000, -1])
def test_one_changed_byte_is_found(folder: Path, graph: str, where: int) -> None:
    path = folder / f"{graph}.onnx"
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match=rf"{graph}\.onnx was changed.*export it anew"):
        Bundle.open(folder)
    assert Bundle.open(folder, verify=False).info == INFO


def test_any_further_graph_is_read_and_verified_too(folder: Path) -> None:
    (folder / "memory.onnx").write_bytes(b"the memory")
    graph = {"file": "memory.onnx", "sha256": "0" * 64, "bytes": 10, "inputs": [], "outputs": []}
    rewrite(folder, lambda sealed: sealed["graphs"].update(memory=graph))
    assert list(Bundle.open(folder, verify=False).graphs) == ["encoder", "decoder", "memory"]
    with pytest.raises(BundleError, match=r"memory\.onnx was changed"):
        Bundle.open(folder)


@pytest.mark.parametrize("verify", [True, False])
def test_a_graph_cut_short_is_found(folder: Path, verify: bool) -> None:
    path = folder / "encoder.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BundleError, match=r"encoder\.onnx has 10999 bytes, but was sealed with"):
        Bundle.open(folder, verify=verify)


@pytest.mark.parametrize("verify", [True, False])
def test_a_missing_graph_is_found(folder: Path, verify: bool) -> None:
    (folder / "decoder.onnx").unlink()
    with pytest.raises(BundleError, match=r"mine lacks decoder\.onnx"):
        Bundle.open(folder, verify=verify)


def test_a_folder_without_the_seal_is_no_bundle(folder: Path) -> None:
    (folder / BUNDLE_FILE).unlink()
    with pytest.raises(BundleError, match=r"mine has no bundle\.json.*sam2lab export"):
        Bundle.open(folder)


def test_a_place_that_is_no_folder_is_no_bundle(folder: Path) -> None:
    for place in ("nothing here", "encoder.onnx"):
        with pytest.raises(BundleError, match=f"{place} is not a folder"):
            Bundle.open(folder / place)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1, 2]", b'"text"', b"null"])
def test_a_seal_that_is_not_a_json_object_is_refused(folder: Path, content: bytes) -> None:
    (folder / BUNDLE_FILE).write_bytes(content)
    with pytest.raises(BundleError, match=r"bundle\.json"):
        Bundle.open(folder)


def test_another_version_is_refused_by_number(folder: Path) -> None:
    rewrite(folder, lambda sealed: sealed.update(version=2))
    with pytest.raises(BundleError, match="bundle of version 2, and this sam2lab reads version 1"):
        Bundle.open(folder)


def test_another_format_is_refused(folder: Path) -> None:
    rewrite(folder, lambda sealed: sealed.update(format="another-tool"))
    with pytest.raises(BundleError, match="is not a sam2lab-bundle"):
        Bundle.open(folder)


@pytest.mark.parametrize(
    "name", ["../encoder.onnx", "/etc/passwd", "a/b", "a\\b", "C:x", "", ".", "..", "a\0b"]
)
def test_a_file_name_may_not_leave_the_folder(folder: Path, name: str) -> None:
    rewrite(folder, lambda sealed: sealed["graphs"]["encoder"].update(file=name))
    with pytest.raises(BundleError, match="not the plain name of a file"):
        Bundle.open(folder)


FIELDS = [
    *(("model",), ("opset",), ("graphs",), ("made_with",)),
    *(("model", name) for name in ("name", "size", "weights", "precision", "version", "stride")),
    *(("model", name) for name in ("input_size", "mean", "std")),
    *(("graphs", name) for name in ("encoder", "decoder")),
    *(("graphs", "encoder", name) for name in ("file", "sha256", "bytes", "inputs", "outputs")),
    *(("graphs", "encoder", "inputs", 0, name) for name in ("name", "dtype", "shape")),
]


@pytest.mark.parametrize("path", FIELDS, ids=lambda path: ".".join(map(str, path)))
def test_a_missing_field_is_named(folder: Path, path: tuple[Any, ...]) -> None:
    def drop(sealed: Any) -> None:
        for step in path[:-1]:
            sealed = sealed[step]
        del sealed[path[-1]]

    rewrite(folder, drop)
    with pytest.raises(BundleError, match=f"'{path[-1]}' is missing"):
        Bundle.open(folder)


@pytest.mark.parametrize("path", FIELDS, ids=lambda path: ".".join(map(str, path)))
@pytest.mark.parametrize("value", [None, True, 1.5, [None]], ids=repr)
def test_a_field_of_the_wrong_kind_is_named(
    folder: Path, path: tuple[Any, ...], value: object
) -> None:
    def overwrite(sealed: Any) -> None:
        for step in path[:-1]:
            sealed = sealed[step]
        sealed[path[-1]] = value

    rewrite(folder, overwrite)
    with pytest.raises(BundleError, match=f"'{path[-1]}' is .*, wanted a"):
        Bundle.open(folder)


@pytest.mark.parametrize("size", [[1024, 1024], [1280, 720]])
def test_a_size_that_the_graphs_do_not_have_is_refused(folder: Path, size: list[int]) -> None:
    rewrite(folder, lambda sealed: sealed["model"].update(input_size=size))
    with pytest.raises(BundleError, match=r"input_size is .*the encoder's 'image' must be"):
        Bundle.open(folder)


def test_a_mask_of_another_size_than_the_image_is_refused(folder: Path) -> None:
    def change(sealed: dict[str, Any]) -> None:
        sealed["graphs"]["decoder"]["inputs"][1]["shape"] = ["M", 1, 256, 256]

    rewrite(folder, change)
    with pytest.raises(BundleError, match="the decoder's 'mask_input' must be"):
        Bundle.open(folder)


class TestVideo:
    """What follows objects: two more graphs, and how the model uses its memory."""

    VIDEO = VideoSettings(
        *(64, 7, 16, -1, 1, True, True, True, False, 0, 1),
        *((0.5, -1.0), (0.25, 1.0), (1.0,) * 16, 0.125, False),
    )

    @pytest.fixture
    def moving(self, folder: Path) -> Path:
        """The bundle with the graphs of a memory."""
        bundle = Bundle.open(folder)
        graphs = dict(bundle.graphs)
        for name in MEMORY_GRAPHS:
            path = folder / f"{name}.onnx"
            path.write_bytes(name.encode())
            inputs = (Tensor("mask_logits", "float32", ("L", 1, 180, 320)),)
            graphs[name] = Graph(path.name, sha256_of(path), path.stat().st_size, inputs, ())
        replace(bundle, graphs=graphs, video=self.VIDEO).seal()
        return folder

    def test_what_was_sealed_is_what_is_opened(self, moving: Path) -> None:
        assert Bundle.open(moving).video == self.VIDEO

    def test_numbers_of_a_list_stand_on_one_line(self, moving: Path) -> None:
        assert '"no_obj_ptr": [ 0.25, 1.0 ]' in (moving / BUNDLE_FILE).read_text()

    def test_an_older_bundle_has_none(self, folder: Path) -> None:
        bundle = Bundle.open(folder)
        assert bundle.video is None
        assert "cannot follow objects" in bundle.describe()

    def test_the_description_says_whether_it_is_trained(self, moving: Path) -> None:
        assert "follows objects with 7 memories" in Bundle.open(moving).describe()
        assert "its memory is not trained" in Bundle.open(moving).describe()
        rewrite(moving, lambda sealed: sealed["video"].update(is_trained=True))
        assert "not trained" not in Bundle.open(moving).describe()

    @pytest.mark.parametrize("part", ["video", *MEMORY_GRAPHS])
    def test_a_part_alone_is_refused(self, moving: Path, part: str) -> None:
        def drop(sealed: dict[str, Any]) -> None:
            del (sealed if part == "video" else sealed["graphs"])[part]

        rewrite(moving, drop)
        with pytest.raises(BundleError, match=rf"'{part}' is missing, without which no object"):
            Bundle.open(moving)

    @pytest.mark.parametrize("name", ["is_trained", "num_maskmem", "no_obj_ptr"])
    def test_a_field_of_the_wrong_kind_is_named(self, moving: Path, name: str) -> None:
        rewrite(moving, lambda sealed: sealed["video"].update({name: "7"}))
        with pytest.raises(BundleError, match=f"'{name}' is '7', wanted a"):
            Bundle.open(moving)


def test_the_key_is_that_of_the_graphs(folder: Path) -> None:
    before = Bundle.open(folder).key
    rewrite(folder, lambda sealed: sealed["model"].update(name="renamed"))
    assert Bundle.open(folder).key == before
    rewrite(folder, lambda sealed: sealed["graphs"]["decoder"].update(sha256="0" * 64))
    assert Bundle.open(folder, verify=False).key != before
