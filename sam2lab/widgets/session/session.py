"""A click session: what a person did to photos, and what engines say to it. No widget here."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, replace

import numpy as np

from sam2lab.widgets.session import storage
from sam2lab.widgets.session.answers import Answer
from sam2lab.widgets.session.engines import EngineFailed
from sam2lab.widgets.session.objects import Item, Point, Prompt, State, box_on, nearest, point_on
from sam2lab.widgets.session.packed import Mask
from sam2lab.widgets.session.storage import SessionFileError
from sam2lab.widgets.session.workspace import Timings, Workspace

__all__ = ["Disagreement", "EngineFailed", "Session", "SessionFileError", "Timings"]


@dataclass(frozen=True, eq=False)
class Disagreement:
    """Where two engines differ: masks (H, W) of what only one of them says, and their IoU.

    Two empty masks agree: their IoU is 1.
    """

    only_a: Mask
    only_b: Mask
    iou: float


class Session(Workspace):
    """Objects on photos, pointed out by prompts, answered by one engine at a time.

    `segmenters` is one Segmenter, or several by the names that `use_engine` shall know them
    by; `image` is anything that `images.read` takes. Coordinates are (x, y) in pixels of the
    photo, object ids are those of `objects`.

    Every action does all it says, or raises and leaves the session as it was: a `ValueError`
    says what is wrong with the arguments, `EngineFailed` that the engine had a problem.
    Whatever changes prompts, candidates and objects can be undone, without limit; engine,
    mode and photo are no part of that. Each photo has a history of its own, which is there
    again when the photo is opened again. Masks are never stored: they follow from prompts and
    engine, so undo works through any change of engine.

    Encoding a photo may take seconds, and the first action or read that needs an answer does
    it. To keep an interface responsive, call `encode` in a thread before, and until
    `is_encoded()` neither act nor read masks; all else is at once. Any method may be called
    from any thread. Listeners are called in the thread that acted.

    ```python
    session = Session(open_segmenter("nano"), "cat.jpg")
    session.add_point(180, 200)
    session.mask, session.score
    session.commit("cat")
    session.undo()
    ```
    """

    @property
    def objects(self) -> tuple[Item, ...]:
        """All objects, the active one among them; it may still be without prompts."""
        return self.state.objects

    @property
    def active(self) -> Item:
        """The object that takes the next prompt."""
        return self.state.item()

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The active object's prompts, in the order in which they were given."""
        return self.active.prompts

    def answer(self, object_id: int | None = None, engine: str | None = None) -> Answer:
        """What an engine says to an object, by default the one in use to the active one."""
        name = self._engine if engine is None else self._engines.check(engine)
        with self._lock:
            return self._engines.answer(name, self.state.item(object_id))[0]

    @property
    def mask(self) -> Mask:
        """The active object's mask, (H, W)."""
        return self.answer().mask

    @property
    def score(self) -> float | None:
        """The active object's predicted IoU; None while there is no object."""
        return self.answer().score

    @property
    def area(self) -> int:
        """Pixels of the active object's mask."""
        return self.answer().area

    @property
    def candidates(self) -> list[Mask]:
        """The masks that `choose` chooses from: three after a single click, else one or none."""
        return self.answer().masks

    @property
    def masks(self) -> dict[int, Mask]:
        """The mask (H, W) of every object that has prompts, by its id, hidden ones as well."""
        return {item.id: self.answer(item.id).mask for item in self.objects if item.prompts}

    def preview(self, x: float, y: float, positive: bool | None = None) -> Mask:
        """The active object's mask if this point were added; nothing is."""
        with self._lock:
            point = point_on(self.photo.shape[:2], x, y, self._sign(positive))
            return self._engines.preview(self._engine, self.active, point)

    def disagreement(self, a: str, b: str, object_id: int | None = None) -> Disagreement:
        """Where engines `a` and `b` differ about an object, by default the active one."""
        ours, theirs = (self.answer(object_id, engine).mask for engine in (a, b))
        either = np.count_nonzero(ours | theirs)
        iou = np.count_nonzero(ours & theirs) / either if either else 1.0
        return Disagreement(ours & ~theirs, theirs & ~ours, float(iou))

    def prompt_at(self, x: float, y: float, radius: float) -> int | None:
        """The index of the active object's prompt within `radius` pixels: see `nearest`."""
        return nearest(self.prompts, x, y, radius)

    def add_point(self, x: float, y: float, positive: bool | None = None) -> None:
        """Point at the active object, or beside it; `mode` says which unless told here."""
        point = point_on(self.photo.shape[:2], x, y, self._sign(positive))
        self._act(lambda state: state.with_prompts((*state.item().prompts, point)))

    def add_box(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """Draw a box around the active object; an object has one, so an earlier one goes."""
        box = box_on(self.photo.shape[:2], x0, y0, x1, y1)

        def drawn(state: State) -> State:
            points = (prompt for prompt in state.item().prompts if isinstance(prompt, Point))
            return state.with_prompts((*points, box))

        self._act(drawn)

    def remove_prompt(self, index: int) -> None:
        """Take back one of the active object's `prompts`; those after it are answered anew."""

        def removed(state: State) -> State:
            prompts = state.item().prompts
            if not 0 <= index < len(prompts):
                raise ValueError(
                    f"index is {index}; there are {len(prompts)} prompts, the first is 0"
                )
            return state.with_prompts(prompts[:index] + prompts[index + 1 :])

        self._act(removed)

    def clear(self) -> None:
        """Take back all prompts of the active object."""
        self._act(lambda state: state.with_prompts(()))

    def choose(self, index: int) -> None:
        """Choose one of `candidates`, in place of the best-scored one."""
        count = len(self.answer().scores)
        if not 0 <= index < count:
            raise ValueError(f"index is {index}; there are {count} candidates, the first is 0")
        if count > 1:
            self._act(lambda state: state.changed(replace(state.item(), choice=int(index))))

    def commit(self, name: str | None = None) -> None:
        """The active object is done, perhaps under a name: go on to a new one."""
        self._act(lambda state: state.committed(name))

    def select(self, object_id: int) -> None:
        """Make an object active, for further prompts; the one left is dropped if empty."""
        self._act(lambda state: state.selected(object_id))

    def rename(self, object_id: int, name: str) -> None:
        """Call an object otherwise; several may have the same name."""
        self._act(lambda state: state.renamed(object_id, name))

    def recolour(self, object_id: int, colour: str) -> None:
        """Show an object in another colour, #rrggbb."""
        self._act(lambda state: state.recoloured(object_id, colour))

    def hide(self, object_id: int) -> None:
        """Do not draw an object; it is still there."""
        self._act(lambda state: state.hid(object_id, True))

    def show(self, object_id: int) -> None:
        """Draw an object again."""
        self._act(lambda state: state.hid(object_id, False))

    def delete(self, object_id: int) -> None:
        """Remove an object; if it was active, then a new one is."""
        self._act(lambda state: state.deleted(object_id))

    def save(self, path: str | os.PathLike[str], *, with_images: bool = False) -> None:
        """Write everything but masks, which follow from it, to a JSON file.

        All photos with their objects, undo and redo; photos that have no file, and with
        `with_images` all others too, are put inside it.
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
        """Take up what `save` wrote, in place of all that is here.

        With a photo open, the file must be about that photo; with none, the photo is read
        from where it was. Nothing is encoded yet. An engine that this session does not have
        is reported by a warning, and the one in use answers.
        """
        saved = storage.read(path)
        with self._lock:
            here = self._page
            if here is None:
                photo = saved.pages[saved.current].picture.read()
            elif here.picture.key in saved.pages:
                photo, saved.current = self.photo, here.picture.key
                # Its file may lie elsewhere today.
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

    def _sign(self, positive: bool | None) -> bool:
        return self._mode == "positive" if positive is None else bool(positive)
