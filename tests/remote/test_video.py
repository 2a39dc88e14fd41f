"""`VideoPredictor` over a `RemoteEngine` gives what it gives over the engine itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from sam2lab.remote import RemoteEngine, RemoteError, serve
from sam2lab.runtime.engines.onnx import OnnxEngine
from sam2lab.runtime.video.predictor import VideoPredictor
from sam2lab.runtime.video.protocol import Memories, VideoEngine
from tests.exporting import Exported
from tests.runtime.fakes import FakeEngine
from tests.runtime.video.fake import C, D, FakeVideoEngine, centre, clip

# As in the tests of the memory's graphs, so that they are exported once.
WIDE = (128, 208)
Exporting = Callable[..., Exported]

FRAMES = clip(10, squares=3, hidden=range(4, 6))
# The features of a frame take 6 kB, memories of it 256 bytes.
LITTLE_BYTES = 12_000


@pytest.fixture
def engine() -> FakeVideoEngine:
    return FakeVideoEngine()


@pytest.fixture
def remote(engine: FakeVideoEngine) -> Iterator[RemoteEngine]:
    with serve(engine) as server, RemoteEngine(server.url, server.token) as opened:
        yield opened


def follow(engine: VideoEngine, frames: Sequence[np.ndarray] = FRAMES) -> list[np.ndarray]:
    """Every kind of prompt, both directions, an object that comes later, and a correction."""
    predictor = VideoPredictor(engine)
    state = predictor.init_state(frames)
    early, late, last = len(frames) // 3, 2 * len(frames) // 3, len(frames) - 1

    def click(frame: int, square: int) -> np.ndarray:
        point = centre(frame, square)
        return predictor.add_new_points_or_box(state, frame, square, [point], [1])[2]

    def propagate(**options: object) -> list[np.ndarray]:
        return [each[2] for each in predictor.propagate_in_video(state, progress=False, **options)]

    mask = np.zeros(FRAMES[0].shape[:2], bool)
    mask[16:28, 2:14] = True
    found = [click(early, 0), predictor.add_new_mask(state, 0, 1, mask)[2], *propagate()]
    found += [click(late, 0), click(late, 2), *propagate()]
    return found + propagate(reverse=True, start_frame_idx=last)


def same(ours: list[np.ndarray], theirs: list[np.ndarray]) -> bool:
    return len(ours) == len(theirs) and all(map(np.array_equal, ours, theirs))


def test_a_remote_engine_follows_objects_if_its_server_does(
    remote: RemoteEngine, engine: FakeVideoEngine
) -> None:
    assert isinstance(remote, VideoEngine)
    assert remote.video == engine.video
    with serve(FakeEngine()) as server, RemoteEngine(server.url, server.token) as photos_only:
        assert photos_only.video is None
        features = photos_only.encode(np.zeros((1, 3, 64, 96), np.float32))
        with pytest.raises(ValueError, match="cannot follow objects"):
            photos_only.remember(features, features.image_embed, features.image_embed, True)


def test_masks_are_those_of_the_local_engine_bit_for_bit(remote: RemoteEngine) -> None:
    assert same(follow(FakeVideoEngine()), follow(remote))


def test_the_graphs_of_a_bundle_follow_alike_through_a_server(exported: Exporting) -> None:
    local = OnnxEngine(exported("nano", WIDE).bundle, threads=1)
    with serve(local) as server, RemoteEngine(server.url, server.token) as remote:
        assert remote.video == local.video
        assert same(follow(local, FRAMES[:3]), follow(remote, FRAMES[:3]))


def test_a_memory_goes_up_once(remote: RemoteEngine, engine: FakeVideoEngine) -> None:
    features = remote.encode(np.zeros((1, 3, *engine.info.input_size), np.float32))
    rng = np.random.default_rng(0)
    memory, pointers = rng.random((2, 3, 16, D), np.float32), np.zeros((2, 1, C), np.float32)

    def sent(memory: np.ndarray) -> int:
        ages = np.zeros(memory.shape[:2], np.int64)
        remote.condition(features, Memories(memory, ages, pointers, pointers[:, :, 0]))
        return remote.last_trip.sent_bytes

    first, again = sent(memory), sent(memory)
    newer = memory.copy()
    newer[1, 2] += 1
    # The rest are handles, pointers and the header, which has some more digits.
    assert first - again == pytest.approx(memory.nbytes, abs=32)
    assert sent(newer) - again == pytest.approx(newer[1, 2].nbytes, abs=32)
    np.testing.assert_array_equal(engine.looked_at[-1].memory, newer)


def test_a_server_that_forgets_all_the_time_gives_the_same_masks() -> None:
    engine = FakeVideoEngine()
    with (
        serve(engine, kept_bytes=LITTLE_BYTES) as server,
        RemoteEngine(server.url, server.token) as remote,
    ):
        assert same(follow(FakeVideoEngine()), follow(remote))
    usual = FakeVideoEngine()
    follow(usual)
    assert len(engine.encoded) > len(usual.encoded), "otherwise nothing was forgotten"


def test_a_server_that_keeps_too_little_for_one_frame_says_so() -> None:
    with (
        serve(FakeVideoEngine(), kept_bytes=7_000) as server,
        RemoteEngine(server.url, server.token) as remote,
        pytest.raises(RemoteError, match="kept_bytes"),
    ):
        follow(remote)
