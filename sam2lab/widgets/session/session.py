"""A session: objects on photos, pointed out by prompts, and the masks that engines answer."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace

from sam2lab.runtime.masks import Mask, iou
from sam2lab.widgets.formats.annotated import AnnotatedPhoto, Files, LabelledObject
from sam2lab.widgets.formats.table import format_of
from sam2lab.widgets.session import storage
from sam2lab.widgets.session.answers import Answer, Disagreement
from sam2lab.widgets.session.prompts import point_on
from sam2lab.widgets.session.session_file import SessionFileError
from sam2lab.widgets.session.workspace import Workspace


class Session(Workspace):
    """Objects on photos, pointed out by prompts, answered by one engine at a time.

    `segmenters` is one Segmenter, or several by the names that `use_engine` takes. `image` is
    anything that `images.read` reads. Coordinates are (x, y) in pixels of the photo; object ids
    are those of `objects`.

    An action is done completely, or it raises and changes nothing: a `ValueError` for wrong
    arguments, `EngineFailed` when an engine fails. All changes of prompts, candidates and
    objects can be undone, without limit; changes of engine, mode and photo cannot. Each photo
    has its own history and gets it back when it is opened again. Masks are not stored: they
    follow from prompts and engine, so undo works across a change of engine.

    Encoding a photo may take seconds; the first action or read that needs an answer does it.
    To keep an interface responsive, call `encode` in a thread first, and neither act nor read
    masks until `is_encoded()`; everything else returns at once. All methods may be called from
    any thread. Listeners are called in the thread that acted.

    ```python
    session = Session(open_segmenter("nano"), "cat.jpg")
    session.add_point(180, 200)
    session.mask, session.score
    session.commit("cat")
    session.undo()
    ```
    """

    def answer(self, object_id: int | None = None, engine: str | None = None) -> Answer:
        """An engine's answer to an object, by default the current one's to the active object."""
        name = self._engine if engine is None else self._engines.check(engine)
        with self._lock:
            return self._engines.answer(name, self.state.item(object_id))[0]

    @property
    def mask(self) -> Mask:
        """The active object's mask, (H, W)."""
        return self.answer().mask

    @property
    def score(self) -> float | None:
        """The active object's predicted IoU; None while it has no mask."""
        return self.answer().score

    @property
    def area(self) -> int:
        """The number of pixels in the active object's mask."""
        return self.answer().area

    @property
    def candidates(self) -> list[Mask]:
        """The masks to `choose` from: three after a single click, else at most one."""
        return self.answer().masks

    @property
    def masks(self) -> dict[int, Mask]:
        """The mask (H, W) of each object with prompts, by its id, hidden objects included."""
        return {item.id: self.answer(item.id).mask for item in self.objects if item.prompts}

    def preview(self, x: float, y: float, positive: bool | None = None) -> Mask:
        """The mask that adding this point would give the active object; it is not added."""
        with self._lock:
            point = point_on(self.photo.shape[:2], x, y, self._sign(positive))
            return self._engines.preview(self._engine, self.active, point)

    def disagreement(self, a: str, b: str, object_id: int | None = None) -> Disagreement:
        """Compare the answers of engines `a` and `b` to an object, by default the active one."""
        ours, theirs = (self.answer(object_id, engine).mask for engine in (a, b))
        return Disagreement(ours & ~theirs, theirs & ~ours, iou(ours, theirs))

    def choose(self, index: int) -> None:
        """Choose one of `candidates` instead of the best-scored one."""
        count = len(self.answer().scores)
        if not 0 <= index < count:
            raise ValueError(f"index is {index}; there are {count} candidates, the first is 0")
        if count > 1:
            self._act(lambda state: state.changed(replace(state.item(), choice=int(index))))

    def save(self, path: str | os.PathLike[str], *, with_images: bool = False) -> None:
        """Write a JSON file of all photos with their objects, undo and redo, but without masks.

        Photos that have no file are stored inside it; with `with_images`, all photos are.
        """
        with self._lock:
            current = self._open_page.picture.key
            worth = {
                key: page
                for key, page in self._pages.items()
                if key == current or page.history.past or page.history.future
            }
            saved = storage.Saved(self._engine, self._mode, current, worth)
            storage.write(path, saved, with_images)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Replace everything in this session by what `save` wrote.

        If a photo is open, the file must be about that photo; if none is, the photo is read
        from where it was. This does not encode it. If this session lacks the engine that was in
        use, it warns and keeps its own.
        """
        saved = storage.read(path)
        with self._lock:
            here = self._page
            if here is None:
                photo = saved.pages[saved.current].picture.read()
            elif here.picture.key in saved.pages:
                photo, saved.current = self.photo, here.picture.key
                # The photo's file may have moved since.
                saved.pages[saved.current].picture = here.picture
            else:
                names = ", ".join(repr(page.picture.name) for page in saved.pages.values())
                raise SessionFileError(
                    f"path: {str(path)!r} is about {names}, not about {here.picture.name!r}, "
                    "which is open; open that photo first, or load into a new Session"
                )
            if saved.engine in self.engines:
                self._engine = saved.engine
            else:
                warnings.warn(
                    f"{str(path)!r} was answered by {saved.engine!r}, which this session does "
                    f"not have; {self._engine!r} answers instead",
                    stacklevel=2,
                )
            self._mode = "negative" if saved.mode == "negative" else "positive"
            self._pages = saved.pages
            self._turn_to(saved.pages[saved.current], photo)
        self._tell({"image", "engine", "mode", "objects", "active", "prompts", "masks"})

    def annotated(self) -> AnnotatedPhoto:
        """The open photo and all objects on it that have a mask, hidden ones included."""
        picture, photo = self._open_page.picture, self.photo
        answers = [(item.name, self.answer(item.id)) for item in self.objects]
        objects = tuple(
            LabelledObject(name, answer.mask, answer.score)
            for name, answer in answers
            if answer.score is not None and answer.area
        )
        return AnnotatedPhoto(picture.name, photo, objects, picture.path is not None)

    def export(self, format: str) -> Files:
        """Make the files of a take-away format, such as "coco_rle": their bytes by name.

        `sam2lab.widgets.formats.FORMATS` lists the formats.
        """
        row, annotated = format_of(format), self.annotated()
        if not annotated.objects:
            raise ValueError("there is no object to take away yet: click on one or draw a box")
        return row.make(annotated)
