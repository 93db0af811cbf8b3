"""AnnotationSession: the objects of one image plane, from prompts to masks, with one history."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from napari_samv1.engine.change import Change, ObjectChange, difference
from napari_samv1.engine.history import History, State, Step
from napari_samv1.engine.jobs import DecodeJob, DecodeResult, run, run_each
from napari_samv1.engine.objects import (
    EMPTY,
    AnnotatedObject,
    BrushStroke,
    CandidateScores,
    Choice,
    ObjectSettings,
    Request,
    derive,
    hinted,
)
from napari_samv1.engine.stacking import restack
from napari_samv1.masks.paint import Rule
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.prompts import Prompts

if TYPE_CHECKING:
    from napari_samv1.engine.embedding import Embedding
    from napari_samv1.engine.prediction import Prediction
    from napari_samv1.masks.clean import CleanUp

__all__ = [
    "AnnotatedObject",
    "AnnotationSession",
    "BrushStroke",
    "CandidateScores",
    "Change",
    "Choice",
    "DecodeJob",
    "DecodeResult",
    "ObjectChange",
    "ObjectSettings",
    "Undone",
    "run",
    "run_each",
]

# about a megabyte each: four logit maps of a 64 x 64 token grid
KEPT_PREDICTIONS = 64
_tickets = itertools.count(1)
_NOTHING_FOUND: Mapping[int, MaskCrop] = MappingProxyType({})


@dataclass(frozen=True)
class Undone:
    """What an undo or redo did; ``attachment`` is what came with the step, for the caller to restore."""

    change: Change
    label: str
    attachment: object = None


class AnnotationSession:
    """The objects of one image plane (H, W); everything here runs on one thread and is quick.

    Decoding is elsewhere: ``jobs`` hands out immutable jobs, a worker calls ``run_each`` on them, and
    ``accept`` takes the results; of each object only the newest request counts.
    """

    def __init__(self, shape_yx: tuple[int, int], *, kept_predictions: int = KEPT_PREDICTIONS) -> None:
        self.shape_yx = shape_yx
        self.defaults = ObjectSettings()
        self._state = State()
        self._history = History()
        self._revision = 0
        self._asked: dict[int, tuple[int, Request]] = {}
        self._touched: dict[int, None] = {}
        self._embedding_key: Hashable = None
        self._predictions: OrderedDict[Request, Prediction] = OrderedDict()
        self._kept_predictions = kept_predictions

    @property
    def objects(self) -> Mapping[int, AnnotatedObject]:
        """All objects by their id."""
        return MappingProxyType(self._state.objects)

    @property
    def stack(self) -> tuple[int, ...]:
        """The order in which the objects are laid into the label image, lowest first; see ``masks.paint``."""
        return self._state.stack

    def get(self, object_id: int) -> AnnotatedObject | None:
        """One object, or None."""
        return self._state.objects.get(object_id)

    @property
    def revision(self) -> int:
        """Grows with every change of prompts or settings that somebody made."""
        return self._revision

    def prediction(self, object_id: int) -> Prediction | None:
        """The network's answer that the object's mask comes from, where it is still kept."""
        current = self.get(object_id)
        return None if current is None or current.answered is None else self._kept(current.answered)

    # Prompts, and decoding them

    def set_prompts(
        self,
        prompts_by_object: Mapping[int, Prompts],
        *,
        gesture: Hashable = None,
        attachment: object = None,
        undoable: bool = True,
        found: Mapping[int, MaskCrop] = _NOTHING_FOUND,
    ) -> Change:
        """Take the prompts of the whole plane; an object that is not named has none.

        They say what is pointed at; which candidate is corrected, the objects know.

        ``found`` are pixels that bear the number of an object which is new: they were there all along, stay
        until the network's answer takes their place, and come back with undo.

        What was asked before is answered at once from the kept predictions; the rest is ``pending``.
        Changes of one ``gesture`` (a drag) are one undo step, with the first one's ``attachment``. One that
        is nobody's doing (prompts found in a layer that was just chosen) is not ``undoable``.
        """
        for object_id, pixels in found.items():
            self.adopt(object_id, pixels)
        edited, none = [], Prompts()
        for object_id in dict.fromkeys((*prompts_by_object, *self._state.objects)):
            prompts = prompts_by_object.get(object_id, none)
            old = self.get(object_id)
            if old is None and len(prompts):
                old = AnnotatedObject(object_id, settings=self.defaults)
            if old is not None:
                prompts = hinted(prompts, old.refined)
            # a reopened session's prompts come back through a layer's transform, rounded
            if old is not None and prompts != old.prompts and not prompts.is_close(old.prompts):
                asked = old.with_prompts(prompts)
                # what nobody but the network can replace stays: background points alone wipe nothing
                if object_id in found and asked.decodable:
                    asked = asked.given_up()
                edited.append(self._answered_if_kept(asked))
        return self._step("prompts", edited, gesture, attachment, undoable)

    @property
    def pending(self) -> tuple[int, ...]:
        """Objects whose masks do not answer their prompts yet, the last touched first."""
        waiting = {object_id for object_id, known in self._state.objects.items() if known.pending}
        recent = [object_id for object_id in reversed(self._touched) if object_id in waiting]
        return (*recent, *sorted(waiting.difference(recent)))

    def jobs(self, embedding: Embedding, limit: int | None = None) -> list[DecodeJob]:
        """Jobs for pending objects (at most ``limit``), without those already asked in the same way.

        A job that is dropped before it ran must be told of with ``forget_requests``, unless a newer one of
        the same object took its place.
        """
        self._embedding_key = embedding.key
        jobs: list[DecodeJob] = []
        for object_id in self.pending:
            if len(jobs) == limit:
                break
            request = Request(self._state.objects[object_id].prompts, embedding.key)
            asked = self._asked.get(object_id)
            if asked is not None and asked[1] == request:
                continue
            ticket = next(_tickets)
            self._asked[object_id] = ticket, request
            settings = self._state.objects[object_id].settings
            jobs.append(DecodeJob(object_id, ticket, request, settings, embedding))
        return jobs

    def accept(self, result: DecodeResult) -> Change:
        """Take a result. One that is no longer the newest of its object, or no longer wanted, is dropped."""
        asked = self._asked.get(result.object_id)
        if asked is None or asked[0] != result.ticket:
            return Change()
        del self._asked[result.object_id]
        if result.prediction is not None:
            self._keep(result.request, result.prediction)
        old = self.get(result.object_id)
        if old is None or not old.pending:
            return Change()
        if result.prediction is None or result.derived is None:
            # answered: asking again would fail again, until the prompts change
            return self._replace(
                old, replace(old, reason=result.error, answered=Request(old.prompts, self._embedding_key))
            )
        settings_changed = old.settings != result.settings
        derived = derive(result.prediction, old.settings) if settings_changed else result.derived
        return self._replace(old, old.with_derived(derived, result.request))

    def recall(self, object_id: int, embedding: Embedding) -> DecodeJob | None:
        """A job for the answer that an object's mask came from, where it is no longer kept.

        None where there is nothing to recall, or it was asked of another encoding. ``remember`` takes its
        result: the object itself stays as it is.
        """
        known = self.get(object_id)
        if known is None or known.pending or known.scores is None or known.answered is None:
            return None
        if known.answered.embedding_key != embedding.key or self._kept(known.answered) is not None:
            return None
        return DecodeJob(object_id, next(_tickets), known.answered, known.settings, embedding)

    def remember(self, result: DecodeResult) -> None:
        """Keep a recalled answer."""
        if result.prediction is not None:
            self._keep(result.request, result.prediction)

    def forget_requests(self) -> None:
        """Whatever was asked will not be answered (cancelled, another model): ``jobs`` asks anew."""
        self._asked.clear()

    def redecode(self, object_ids: Iterable[int] | None = None) -> None:
        """Ask again for objects (all by default), say after a new encoding; their masks stay until then."""
        for object_id in list(self._state.objects if object_ids is None else object_ids):
            if (old := self.get(object_id)) is not None:
                self._state.objects[object_id] = replace(old, answered=None)
                self._asked.pop(object_id, None)

    # Settings, strokes, deletion

    def set_choice(self, object_id: int, choice: Choice) -> Change:
        """Show another of the four masks."""
        return self._set(object_id, "mask choice", None, lambda settings: replace(settings, choice=choice))

    def set_threshold(self, object_id: int, threshold: float, *, gesture: Hashable = None) -> Change:
        """Cut the logits at another value."""
        return self._set(
            object_id, "threshold", gesture, lambda settings: replace(settings, threshold=float(threshold))
        )

    def set_cleanup(self, object_id: int, cleanup: CleanUp | None, *, gesture: Hashable = None) -> Change:
        """Clean the mask in another way, or not at all."""
        return self._set(object_id, "clean-up", gesture, lambda settings: replace(settings, cleanup=cleanup))

    def set_rule(self, object_id: int, rule: Rule) -> Change:
        """Treat pixels that others own in another way."""
        return self._set(object_id, "painting rule", None, lambda settings: replace(settings, rule=rule))

    def paint(
        self, object_id: int, stroke: MaskCrop, *, erase: bool = False, gesture: Hashable = None
    ) -> Change:
        """Add a brush stroke to an object, or erase one from it; later answers of the network keep it."""
        return self.paint_each([BrushStroke(object_id, stroke, erase)], gesture=gesture)

    def paint_each(self, strokes: Iterable[BrushStroke], *, gesture: Hashable = None) -> Change:
        """Several strokes as one step: a brush may touch more than one object."""
        edited: dict[int, AnnotatedObject] = {}
        label = "eraser"
        for stroke in strokes:
            old = edited.get(stroke.object_id) or self.get(stroke.object_id)
            if old is None:
                old = AnnotatedObject(stroke.object_id, settings=self.defaults)
            edited[stroke.object_id] = old.with_stroke(stroke.pixels, erase=stroke.erase)
            label = label if stroke.erase else "brush"
        return self._step(label, list(edited.values()), gesture)

    def refine(self, object_id: int, pointed: Prompts) -> Change:
        """Let the network refine the mask that an object has; ``pointed`` is what ``set_prompts`` was given.

        The mask stays a hint with every later request of the object. One step to undo.
        """
        old = self.get(object_id)
        if old is None or old.mask.empty:
            return Change()
        return self._step("refinement", [self._answered_if_kept(old.refining(pointed))])

    def adopt(self, object_id: int, pixels: MaskCrop) -> Change:
        """Know a label that came from elsewhere as an object, as painted in; nothing to undo.

        It was there all along, so that undoing older steps does not take it away.
        """
        if object_id in self._state.objects or pixels.empty:
            return Change()
        known = AnnotatedObject(object_id, settings=self.defaults).with_stroke(pixels, erase=False)
        before, self._state = self._state, self._state.with_lowest(known)
        self._history.amend(known)
        self._revision += 1
        return difference(before, self._state)

    def empty(self, object_id: int, *, attachment: object = None) -> Change:
        """Take away all that makes an object's mask, prompts, strokes and hint; its settings stay."""
        old = self.get(object_id)
        emptied = AnnotatedObject(object_id, settings=old.settings) if old is not None else None
        if emptied is None or old == emptied:
            return Change()
        return self._step(f"clearing of object {object_id}", [emptied], attachment=attachment)

    def delete(self, object_id: int, *, attachment: object = None) -> Change:
        """Remove an object, its settings and its pixels."""
        if object_id not in self._state.objects:
            return Change()
        return self._drop({object_id}, f"deletion of object {object_id}", attachment)

    def clear(self, *, attachment: object = None) -> Change:
        """Remove every object."""
        return self._drop(set(self._state.objects), "deletion of all objects", attachment)

    def restore(self, objects: Iterable[AnnotatedObject], stack: Iterable[int]) -> Change:
        """Take objects as they were saved, masks and all, in place of those here; nothing to undo."""
        before = self._state
        self._state = State({known.id: known for known in objects}, tuple(stack))
        self._history = History()
        self._asked.clear()
        self._revision += 1
        return difference(before, self._state)

    # Undo

    @property
    def can_undo(self) -> bool:
        """There is a step to take back."""
        return bool(self._history.undo_label)

    @property
    def can_redo(self) -> bool:
        """There is a step to bring again."""
        return bool(self._history.redo_label)

    @property
    def undo_label(self) -> str:
        """What undo would take back, or ""."""
        return self._history.undo_label

    @property
    def redo_label(self) -> str:
        """What redo would bring again, or ""."""
        return self._history.redo_label

    def undo(self, attachment: object = None) -> Undone:
        """Take the last step back; ``attachment`` is the caller's present, for redo to hand back."""
        return self._go_to(self._history.undo(self._state, attachment))

    def redo(self, attachment: object = None) -> Undone:
        """Bring the last undone step again."""
        return self._go_to(self._history.redo(self._state, attachment))

    # Within

    def _set(
        self,
        object_id: int,
        label: str,
        gesture: Hashable,
        change: Callable[[ObjectSettings], ObjectSettings],
    ) -> Change:
        old = self.get(object_id)
        if old is None:
            return Change()
        settings = change(old.settings)
        if settings == old.settings:
            return Change()
        new = replace(old, settings=settings)
        if old.answered is not None and _differently_derived(old.settings, settings):
            prediction = self._kept(old.answered)
            if prediction is None:
                new = replace(new, answered=None)
            else:
                new = new.with_derived(derive(prediction, settings), old.answered)
        return self._step(label, [new], None if gesture is None else (label, object_id, gesture))

    def _step(
        self,
        label: str,
        edited: list[AnnotatedObject],
        gesture: Hashable = None,
        attachment: object = None,
        undoable: bool = True,
    ) -> Change:
        """Record where we are, then put the edited objects in place."""
        if not edited:
            return Change()
        before = State(dict(self._state.objects), self._state.stack)
        if undoable:
            self._history.record(Step(label, before, attachment, gesture))
        self._revision += 1
        for new in edited:
            self._place(new)
        return difference(before, self._state)

    def _replace(self, old: AnnotatedObject, new: AnnotatedObject) -> Change:
        """An answer is not a step of its own: it completes the step that asked."""
        before = State(dict(self._state.objects), self._state.stack)
        self._place(new)
        self._history.put_right(old, new)
        return difference(before, self._state)

    def _place(self, new: AnnotatedObject) -> None:
        old = self.get(new.id)
        # under another rule it has to find its place anew, above or beneath all that it meets
        before = old.mask if old is not None and old.settings.rule == new.settings.rule else EMPTY
        objects = self._state.objects
        objects[new.id] = new
        self._state = State(objects, restack(self._state.stack, objects, new, before))
        self._touched.pop(new.id, None)
        self._touched[new.id] = None

    def _drop(self, object_ids: set[int], label: str, attachment: object) -> Change:
        if not object_ids:
            return Change()
        before = self._state
        self._history.record(Step(label, before, attachment))
        kept = {
            object_id: known for object_id, known in before.objects.items() if object_id not in object_ids
        }
        self._state = State(kept, tuple(other for other in before.stack if other in kept))
        for object_id in object_ids:
            self._asked.pop(object_id, None)
        return difference(before, self._state)

    def _go_to(self, step: Step | None) -> Undone:
        if step is None:
            return Undone(Change(), "")
        before, self._state = self._state, step.state
        for known in list(self._state.objects.values()):
            answered = self._answered_if_kept(known) if known.pending else known
            self._state.objects[known.id] = answered
        return Undone(difference(before, self._state), step.label, step.attachment)

    def _answered_if_kept(self, known: AnnotatedObject) -> AnnotatedObject:
        if not known.decodable:
            return known
        request = Request(known.prompts, self._embedding_key)
        prediction = self._kept(request)
        return (
            known if prediction is None else known.with_derived(derive(prediction, known.settings), request)
        )

    def _kept(self, request: Request) -> Prediction | None:
        prediction = self._predictions.get(request)
        if prediction is not None:
            self._predictions.move_to_end(request)
        return prediction

    def _keep(self, request: Request, prediction: Prediction) -> None:
        self._predictions[request] = prediction
        self._predictions.move_to_end(request)
        while len(self._predictions) > self._kept_predictions:
            self._predictions.popitem(last=False)


def _differently_derived(old: ObjectSettings, new: ObjectSettings) -> bool:
    return (old.choice, old.threshold, old.cleanup) != (new.choice, new.threshold, new.cleanup)
