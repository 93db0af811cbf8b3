"""A machine that plays: what people do, in any order, and what must hold after every step."""

from __future__ import annotations

import gc
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from numpy.typing import NDArray

from napari_samv1.masks.clean import CleanUp
from napari_samv1.records.settings import KEEP, OVERWRITE, Rule
from play.look import Index, Look, PlaneLook, Row, differences, pixel_differences
from play.oracle import Beneath, composite
from play.person import Person

HEIGHT, WIDTH = 40, 60
OTHERS = (90, 91)  # labels of another tool

few = st.integers(0, 7)
numbers = st.integers(1, 4) | st.sampled_from(OTHERS)
places = st.tuples(st.integers(2, HEIGHT - 3), st.integers(2, WIDTH - 3))
rules = st.sampled_from([KEEP, OVERWRITE, Rule("inside", 1), Rule("inside", 2), Rule("inside", OTHERS[0])])
cleanups = st.sampled_from([None, CleanUp(grow=1), CleanUp(fill_holes=True), CleanUp(drop_islands=30)])
Key = tuple[str, Index]


class Playing(RuleBasedStateMachine):
    """One person at one viewer; subclasses say what they work on."""

    IMAGES: ClassVar[Mapping[str, tuple[int, ...]]]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="playing-"))
        self.pixels: dict[str, NDArray[np.uint8]] = {
            name: np.random.default_rng(0).integers(0, 9, shape, dtype=np.uint8)
            for name, shape in self.IMAGES.items()
        }
        self.patient = True
        self._begin(self._new_person())

    def _new_person(self) -> Person:
        return Person(self.pixels, self.folder)

    def _begin(self, person: Person) -> None:
        self.person = person
        self.beneath: dict[str, tuple[str, Beneath]] = {}
        self.contents: dict[str, NDArray[Any]] = {}
        self.brought: dict[str, Counter[Any]] = {}
        self.past: dict[Any, list[Look | None]] = {}
        self.future: dict[Any, list[Look | None]] = {}
        self.unseen: set[str] = set()  # images whose prompt layers may lack prompts of the document
        self._learn_labels()
        self.now = person.look()

    def teardown(self) -> None:
        self.person.wait()
        self.person.close()
        leaked = self.person.leaked()
        shutil.rmtree(self.folder, ignore_errors=True)
        assert not leaked, leaked
        del self.person
        gc.collect(0)

    # Before and after

    @contextmanager
    def doing(self, where: str = "plane", *, undoable: bool = True, own: str = "") -> Iterator[None]:
        """Do something that may change the displayed plane, the whole "image", or "nothing".

        A change that is not ``undoable`` ends what is known of the history. ``own`` names a layer that the
        person changes on purpose.
        """
        before, history, image = self.now, self.person.history, self.person.image
        depth, newest = self.person.undo_depth, self.person.newest_step
        yield
        if self.patient:
            self.person.wait()
        after = self._after()
        self._assert_untouched(before, after, where, image, own)
        changed = [
            sentence
            for key, old in before.planes.items()
            for sentence in differences(_steps(old), _steps(after.planes[key]), pixels=False)
        ]
        if not undoable:
            if changed:
                self.past.clear()
                self.future.clear()
        elif self.person.history == history and self.person.undo_depth > depth:
            known = before if self.patient and not before.pending and not after.pending else None
            self.past.setdefault(history, []).append(known)
            self.future.pop(history, None)
        elif self.person.history == history and self.person.newest_step is not newest:
            self.future.pop(history, None)  # joined to the step before: a slider goes on
        else:
            assert not changed or not self.patient or before.pending, f"cannot be undone: {changed}"

    def _after(self) -> Look:
        self._learn_labels()
        self.now = self.person.look()
        for name, index in self.now.planes:
            labels = self.person.labels_of(name)
            if labels is not None:
                at = _at(index)
                # an object without pixels takes none over that bear its number, unless it was cleared of them
                plane = self.now.planes[name, index]
                taken = [
                    number
                    for number, one in plane.objects.items()
                    if not one.mask.empty or plane.pixels is None or not (plane.pixels == number).any()
                ]
                self.beneath[name][1].give(at, taken)
        return self.now

    def _learn_labels(self) -> None:
        """Remember what a Labels layer held before it was first written to."""
        for name in self.pixels:
            labels = self.person.labels_of(name)
            if labels is None:
                self.beneath.pop(name, None)
            elif name not in self.beneath or self.beneath[name][0] != labels.unique_id:
                first = self.contents.get(labels.unique_id, np.zeros_like(labels.data))
                self.beneath[name] = labels.unique_id, Beneath(first)
        self.contents = self.person.label_contents()

    def _assert_untouched(self, before: Look, after: Look, where: str, image: str, own: str = "") -> None:
        displayed = {(image, self.person.plane), (self.person.image, self.person.plane)}
        for key, old in before.planes.items():
            if (where == "image" and key[0] == image) or (where == "plane" and key in displayed):
                continue
            found = list(differences(old, after.planes[key]))
            assert not found, f"{key} should be as it was: {found}"
        for name, print_before in before.own_layers.items():
            now = after.own_layers.get(name, print_before)
            assert name == own or now == print_before, f"a layer that is not ours changed: {name}"

    # What a person does

    @initialize(own=st.booleans())
    def begin(self, own: bool) -> None:
        if own:
            for name in self.pixels:
                self.person.choose_image(name)
                self.person.add_own_layers()
        self._after()

    @rule(patient=st.sampled_from([True, True, True, False]))
    def change_pace(self, patient: bool) -> None:
        self.patient = patient
        self.person.wait()
        self._after()

    @rule(at=places, shift=st.booleans())
    def click(self, at: tuple[int, int], shift: bool) -> None:
        with self.doing():
            self.person.click(*at, shift=shift)

    @rule(at=places)
    def click_here(self, at: tuple[int, int]) -> None:
        with self.doing():
            self.person.click(*at)

    @rule(row=few, to=places)
    def drag_a_point(self, row: int, to: tuple[int, int]) -> None:
        with self.doing():
            self.person.drag_point(row, to)

    @rule(row=few)
    def remove_a_point(self, row: int) -> None:
        with self.doing():
            self.person.remove_point(row)

    @rule(row=few)
    def select_a_point(self, row: int) -> None:
        with self.doing("nothing"):
            self.person.select_point(row)

    @rule(row=few)
    def turn_a_point(self, row: int) -> None:
        with self.doing():
            self.person.turn_point(row)

    @rule()
    def turn_the_next(self) -> None:
        with self.doing("nothing"):
            self.person.turn_next()

    @rule(start=places, end=places)
    def box(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        with self.doing():
            self.person.box(start, end)

    @rule(kind=st.sampled_from(["ellipse", "polygon", "path"]), start=places, end=places)
    def draw(self, kind: str, start: tuple[int, int], end: tuple[int, int]) -> None:
        with self.doing():
            self.person.draw(kind, start, end)

    @rule(start=places, end=places)
    def paint(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        with self.doing():
            self.person.paint(start, end)

    @rule(start=places, end=places)
    def erase(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        with self.doing():
            self.person.paint(start, end, erase=True)

    @rule(at=places)
    def fill(self, at: tuple[int, int]) -> None:
        with self.doing():
            self.person.fill(*at)

    @rule(at=places)
    def pick_on_canvas(self, at: tuple[int, int]) -> None:
        with self.doing("nothing"):
            self.person.pick_on_canvas(*at)

    @rule(number=numbers)
    def pick(self, number: int) -> None:
        with self.doing("nothing"):
            self.person.pick(number)

    @rule()
    def next_object(self) -> None:
        with self.doing("nothing"):
            self.person.next_object()

    @rule(choice=st.sampled_from(["auto", 0, 1, 2, 3]))
    def choose_a_candidate(self, choice: Any) -> None:
        with self.doing("image"):
            self.person.choose(choice)

    @rule(threshold=st.sampled_from([-2.0, -1.0, 0.0, 1.0]))
    def move_the_threshold(self, threshold: float) -> None:
        with self.doing("image"):
            self.person.set_threshold(threshold)

    @rule(cleanup=cleanups)
    def clean_up(self, cleanup: CleanUp | None) -> None:
        with self.doing("image"):
            self.person.clean(cleanup)

    @rule(overlap=rules)
    def set_the_rule(self, overlap: Rule) -> None:
        with self.doing("image"):
            self.person.set_rule(overlap)

    @rule()
    def refine(self) -> None:
        with self.doing():
            self.person.refine()

    @rule(share=st.booleans())
    def split(self, share: bool) -> None:
        with self.doing():
            self.person.split(share_background=share)

    @rule()
    def clear(self) -> None:
        with self.doing():
            self.person.clear()

    @rule()
    def continue_object(self) -> None:
        with self.doing("nothing"):
            self.person.continue_object()

    @rule(number=numbers)
    def delete(self, number: int) -> None:
        with self.doing("image"):
            pixels = self.now.planes[self.person.image, self.person.plane].pixels
            self.person.delete(number)
            # one that objects cover is not seen, and stays
            if self.person.image in self.beneath and pixels is not None and (pixels == number).any():
                # a label of another tool becomes an object first
                self.beneath[self.person.image][1].give(_at(self.person.plane), [number])

    @rule()
    def remove_the_last(self) -> None:
        with self.doing():
            self.person.remove_last()

    @rule()
    def undo(self) -> None:
        self._travel(back=True)

    @rule()
    def redo(self) -> None:
        self._travel(back=False)

    @rule()
    def undo_and_redo(self) -> None:
        self.person.wait()
        before = self._after()
        if self._travel(back=True):
            self._travel(back=False)
            if not before.pending:  # else answered by now, on the plane to which undo goes
                self._assert_same(before, self.now, "undo and redo are not the identity")

    def _travel(self, *, back: bool) -> bool:
        person = self.person
        person.wait()
        before, key = self._after(), person.history
        label, rows = person.undo_label if back else person.redo_label, person.coordinates()
        (person.undo if back else person.redo)()
        person.wait()
        after = self._after()
        self._assert_untouched(before, after, "image", person.image)
        for layer_id, coordinates in self.brought.items() if back else ():
            coordinates &= rows.get(layer_id, coordinates)
            lost = coordinates - person.coordinates().get(layer_id, coordinates)
            assert not lost, f"rows that came with a layer are gone: {dict(lost)}"
        source, target = (self.past, self.future) if back else (self.future, self.past)
        if not label:
            self._assert_same(before, after, "there was nothing to undo")
            return False
        known = source.get(key, [])
        expected = known.pop() if known else None
        if expected is not None:
            what = f"{'undo' if back else 'redo'} of {label!r} does not give what there was"
            self._assert_same(expected, after, what)
        target.setdefault(key, []).append(None if before.pending else before)
        return True

    def _assert_same(self, expected: Look, found: Look, what: str) -> None:
        for (name, index), old in expected.planes.items():
            if name != self.person.image:
                continue  # its history is another; that nothing of it changed is asserted elsewhere
            new = self._without_adopted(found.planes[name, index], set(old.objects), name, index)
            # a step writes its prompts into layers that did not show them before
            rows = [() if name in self.unseen else _prompts(one) for one in (old, new)]
            wrong = list(differences(replace(old, rows=rows[0]), replace(new, rows=rows[1])))
            assert not wrong, f"{what}: {(name, index)}: {wrong}"

    def _without_adopted(self, plane: PlaneLook, known: set[int], name: str, index: Index) -> PlaneLook:
        """A plane without labels of another tool that became objects, as they do without a step."""
        if name not in self.beneath:
            return plane
        original = self.beneath[name][1].original[_at(index)]
        adopted = {
            number
            for number, one in plane.objects.items()
            if number not in known
            and not one.points
            and not one.boxes
            and one.hint.empty
            and one.painted_out.empty
            and bool((original[one.mask.to_mask(original.shape)] == number).all())
        }
        objects = {number: one for number, one in plane.objects.items() if number not in adopted}
        return replace(plane, objects=objects, order=tuple(one for one in plane.order if one not in adopted))

    @precondition(lambda self: len(self.person.planes) > 1)
    @rule(number=st.integers(0, 2))
    def go_to(self, number: int) -> None:
        with self.doing(undoable=False):
            self.person.go_to(number)

    @precondition(lambda self: len(self.pixels) > 1)
    @rule(which=few)
    def choose_an_image(self, which: int) -> None:
        with self.doing("nothing", undoable=False):
            self.person.choose_image(list(self.pixels)[which % len(self.pixels)])

    @rule()
    def look_in_3d(self) -> None:
        with self.doing("nothing"):
            self.person.look_in_3d()

    @rule(low=st.integers(0, 3))
    def change_contrast(self, low: int) -> None:
        with self.doing("nothing"):
            self.person.change_contrast(low)

    @rule(rows=st.integers(-50, 50), scale=st.sampled_from([0.5, 1, 3]))
    def move_the_image(self, rows: int, scale: float) -> None:
        with self.doing("nothing"):
            self.person.move_the_image(rows, scale)

    @rule()
    def replace_pixels(self) -> None:
        image = str(self.person.images[self.person.image].unique_id)
        with self.doing("nothing", undoable=False, own=image):
            self.person.replace_pixels()

    @rule(kind=st.sampled_from(["points", "shapes", "labels"]), choice=few)
    def bind(self, kind: str, choice: int) -> None:
        with self.doing("image", undoable=False):
            getattr(self.person, f"bind_{kind}")(choice)
        self.unseen.add(self.person.image)
        for layer_id, coordinates in self.person.coordinates().items():
            # at its first choice alone: rows that come later are prompts, and steps may take them back
            if layer_id in self.person.own_layers:
                self.brought.setdefault(layer_id, coordinates)
                if any(_is_elsewhere(one, self.person.plane) for one in coordinates):
                    # they become prompts once their slice is displayed, which undo may do
                    self.past.clear()
                    self.future.clear()

    @rule(kind=st.sampled_from(["points", "labels"]))
    def bind_a_new(self, kind: str) -> None:
        with self.doing("image", undoable=False):
            getattr(self.person, f"bind_new_{kind}")()

    @rule(which=few)
    def rename(self, which: int) -> None:
        with self.doing("nothing"):
            self.person.rename(which)

    @rule(which=few, to=few)
    def reorder(self, which: int, to: int) -> None:
        with self.doing("nothing"):
            self.person.reorder(which, to)

    @rule(which=few)
    def hide(self, which: int) -> None:
        with self.doing("nothing"):
            self.person.hide(which)

    @rule(kind=st.sampled_from(["points", "shapes", "labels"]))
    def delete_a_layer(self, kind: str) -> None:
        with self.doing("image", undoable=False):
            self.person.delete_layer(kind)
        self.unseen.add(self.person.image)

    @precondition(lambda self: len(self.pixels) > 1)
    @rule(which=few, kind=st.sampled_from(["points", "shapes", "labels"]))
    def delete_a_layer_of_another_image(self, which: int, kind: str) -> None:
        others = [name for name in self.pixels if name != self.person.image]
        other = others[which % len(others)]
        with self.doing("nothing", undoable=False):
            self.person.delete_layer_of(other, kind)
        self.unseen.add(other)

    @rule(go_on=st.booleans())
    def save_and_open(self, go_on: bool) -> None:
        """What is opened in another window is what was saved."""
        self.person.wait()
        saved = self._after()
        if not any(plane.objects for plane in saved.planes.values()):
            return
        again = self._new_person()
        again.open(self.person.save())
        self._assert_opened_as_saved(saved, again.look())
        left = again
        if go_on:
            left = self.person
            self._go_on_as(again)
        left.close()
        assert not left.leaked()

    def _assert_opened_as_saved(self, saved: Look, opened: Look) -> None:
        annotated = {name for (name, _), plane in saved.planes.items() if plane.objects}
        for key, plane in saved.planes.items():
            if key[0] not in annotated:
                continue  # labels of another tool on an image without objects are no part of a session
            found = opened.planes[key]
            if plane.pixels is None:
                # the person deleted the layer; opening draws the objects again
                found = replace(found, pixels=None)
            shown, found = (_shown(one, rows=key[0] not in self.unseen) for one in (plane, found))
            wrong = list(differences(shown, found))
            assert not wrong, f"{key} was opened otherwise than it was saved: {wrong}"

    def _go_on_as(self, person: Person) -> None:
        """Go on as another person, who has opened the session of this one."""
        beneath = self.beneath
        self._begin(person)
        for name, (layer_id, _) in self.beneath.items():
            if name in beneath:
                self.beneath[name] = layer_id, beneath[name][1]

    # What must hold

    @invariant()
    def what_must_hold(self) -> None:
        self._pixels_are_the_composite_of_the_document()
        self._objects_have_the_prompts_that_the_layers_show()
        self._the_next_prompt_is_the_one_that_is_promised()
        self._nothing_of_ours_is_left_on_layers_that_are_not_bound()

    def _pixels_are_the_composite_of_the_document(self) -> None:
        for (name, index), plane in self.now.planes.items():
            if plane.pixels is None:
                continue
            at = _at(index)
            beneath = self.beneath[name][1].first[at]
            objects = {
                number: (
                    one.mask.to_mask(beneath.shape),
                    one.settings.rule.kind,
                    one.settings.rule.label,
                )
                for number, one in plane.objects.items()
            }
            assert sorted(plane.order) == sorted(objects), f"order {plane.order} of objects {sorted(objects)}"
            expected = composite(beneath, plane.order, objects)
            wrong = list(pixel_differences(expected, plane.pixels))
            assert not wrong, f"{(name, index)} shows other pixels than the document: {wrong}"

    def _objects_have_the_prompts_that_the_layers_show(self) -> None:
        """Choosing or deleting a layer takes no prompts away, so that layers may show too few, never more."""
        plane = self.now.planes[self.person.image, self.person.plane]
        rows = _prompts(plane)
        for number in {row[1] for row in rows} | set(plane.objects):
            own = [row for row in rows if row[1] == number]
            if any(row[0] in ("path", "polygon", "ellipse") for row in own):
                continue
            known = plane.objects.get(number)
            points = Counter((*row[3][-2:], int(row[2] == "positive")) for row in own if row[0] == "point")
            boxes = Counter(row[3] for row in own if row[0] == "rectangle")
            known_points, known_boxes = Counter(known and known.points), Counter(known and known.boxes)
            if self.person.image in self.unseen:
                known_points, known_boxes = known_points & points, known_boxes & boxes
            assert known_points == points, f"object {number}: {known_points}, rows say {points}"
            assert known_boxes == boxes, f"object {number}: {known_boxes}, rows say {boxes}"
        assert all(row[1] >= 1 for row in plane.rows), "a prompt belongs to no object"

    def _the_next_prompt_is_the_one_that_is_promised(self) -> None:
        promised = self.person.next_prompts
        assert len(set(promised.values())) == 1, promised

    def _nothing_of_ours_is_left_on_layers_that_are_not_bound(self) -> None:
        assert not self.person.leaked()


def _at(index: Index) -> tuple[Any, ...]:
    return tuple(slice(None) if own is None else own for own in index)


def _is_elsewhere(coordinates: tuple[float, ...], index: Index) -> bool:
    """True for a prompt on another plane than the one of the index."""
    return any(own is not None and own != at for own, at in zip(index, coordinates, strict=False))


def _box(coordinates: tuple[float, ...], ndim: int) -> tuple[float, ...] | None:
    yx = np.reshape(coordinates, (-1, ndim))[:, -2:]
    low, high = yx.min(axis=0), yx.max(axis=0)
    return (*map(float, low), *map(float, high)) if (high - low).min() >= 2 else None


def _steps(plane: PlaneLook) -> PlaneLook:
    """What steps change: without labels of another tool, which become objects without a step.

    Prompts of such an object come by steps, or with a layer that is chosen, as those of any other.
    """
    objects = {
        number: one
        for number, one in plane.objects.items()
        if number not in OTHERS or one.points or one.boxes
    }
    order = tuple(number for number in plane.order if number in objects)
    return replace(plane, objects=objects, order=order, rows=_prompts(plane))


def _shown(plane: PlaneLook, *, rows: bool) -> PlaneLook:
    """A plane as a file has it, whose layers are others; Labels that show nothing are as good as none."""
    shown = plane.pixels is not None and plane.pixels.any()
    return PlaneLook(
        plane.ndim,
        plane.objects,
        plane.order,
        _prompts(plane) if rows else (),
        plane.pixels if shown else None,
    )


def _prompts(plane: PlaneLook) -> tuple[Row, ...]:
    """Rows that are prompts: areas around background and narrow boxes are none. Corners in any order."""
    prompts: list[Row] = []
    for kind, number, polarity, coordinates in plane.rows:
        if kind in ("rectangle", "polygon", "ellipse"):
            box = _box(coordinates, plane.ndim)
            if polarity == "negative" or box is None:
                continue
            if kind == "rectangle":
                coordinates = box
        prompts.append((kind, number, polarity, coordinates))
    return tuple(sorted(prompts, key=repr))


class PlayingOnAStack(Playing):
    """Three slices of one stack."""

    IMAGES: ClassVar = {"stack": (3, HEIGHT, WIDTH)}


class PlayingOnTwoImages(Playing):
    """Two images of different sizes in one viewer."""

    IMAGES: ClassVar = {"first": (HEIGHT, WIDTH), "second": (HEIGHT + 10, WIDTH + 5)}
