"""The panel's part "Everything": find all masks in a place, filter them, accept them as objects."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_samv1.app.canvas import NoPlaneError
from napari_samv1.app.worker import Outcome, Ticket, Worker
from napari_samv1.batch.settings import SegmentSettings, SettingsError
from napari_samv1.layers.area import DrawnArea
from napari_samv1.layers.for_files import as_seen
from napari_samv1.layers.image import DisplayedPlane, planes_beside
from napari_samv1.layers.labels.found_preview import FoundPreview
from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.records.detail import Detail
from napari_samv1.widgets.automatic.filters import Filters
from napari_samv1.widgets.automatic.folder import FolderDialog
from napari_samv1.widgets.automatic.review import ReviewPart
from napari_samv1.widgets.shared.look import StatusLines, narrow_combo
from napari_samv1.widgets.shared.mailbox import Mailbox

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_samv1.app.app import App
    from napari_samv1.app.everything import Batch, Existing, Findings, Means, Place, PlaneFindings
    from napari_samv1.app.state import State
    from napari_samv1.engine.predictor import Predictor
    from napari_samv1.engine.store import MemoryStore
    from napari_samv1.layers.binding import AnnotationBinding
    from napari_samv1.records.computation import Computation
    from napari_samv1.records.place import Plane

Where = Literal["view", "area", "rest", "image", "stack"]

WHERE: dict[Where, str] = {
    "view": "the visible part",
    "area": "the drawn area",
    "rest": "all but the drawn area",
    "image": "the image",
    "stack": "all slices",
}
MODES = {"auto": "automatic", "seeds": "the model's seeds", "grid": "a grid of points"}
DETAILS: dict[Detail, str] = {
    "auto": "as objects need",
    "whole": "the whole image at once",
    0.5: "half resolution",
    1.0: "full resolution",
    2.0: "enlarged twice",
}
FIND = "find"
REDRAW_MILLISECONDS = 30
ARRIVALS_MILLISECONDS = 200
ARRIVALS_PAUSE = 5  # times as long as the last drawing took
STATUS_LINES = 2
POINTS_WIDTH = 80
NO_AREA = "Draw the area first: press Draw, click the corners of a polygon, and double-click the last one."
AREA_BESIDE = "No polygon, rectangle or ellipse of the drawn area lies on the image, on this slice."
DISCARDED = "The masks found were discarded, because another image or other pixels are chosen."
NO_MODEL = "The model is not loaded yet."
OUTSIDE = "No part of the image is on the screen."


@dataclass(frozen=True, eq=False)
class _Run:
    """Planes of a run, as displayed, each with the part to look at."""

    image: Image
    revision: int
    places: tuple[tuple[DisplayedPlane, Place], ...]
    means: Means
    predictor: Predictor
    made_by: Computation | None


@dataclass(frozen=True, eq=False)
class _Report:
    """Masks found by a run, or its progress; names the run, because an earlier run may end late."""

    run: _Run
    batches: tuple[Batch, ...] = ()
    progress: tuple[int, int] | None = None
    is_complete: bool = False


class EverythingPart(QWidget):
    """Finds masks in a thread, and shows them in a preview layer until they are accepted."""

    accepted = Signal(int)  # number of objects made

    def __init__(self, app: App, canvas: AnnotationBinding, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.app, self.canvas = app, canvas
        self.findings: Findings | None = None
        self._run: _Run | None = None
        self._ticket: Ticket | None = None
        self._worker = Worker("everything", self._finished, self._progressed, deliver=Mailbox())
        self._store: MemoryStore | None = None
        self._existing: dict[Plane, tuple[object, Existing]] = {}
        self._made: tuple[object, int] | None = None  # image and revision right after Accept
        self._base = AutomaticSettings()  # keeps the settings that no control shows
        self.area = DrawnArea(canvas.viewer)
        self.preview = FoundPreview(canvas.viewer, self.discard)
        self.review = ReviewPart(app, canvas)
        self._make_controls()
        self._arrange()
        self._redraw = self._timer(REDRAW_MILLISECONDS, self._show_found)
        self._arrivals = self._timer(ARRIVALS_MILLISECONDS, self._show_found)
        self._connect()
        self._show_state()

    # ---- controls

    def _make_controls(self) -> None:
        self.where, self.mode, self.detail = narrow_combo(), narrow_combo(), narrow_combo()
        for combo, entries in ((self.where, WHERE), (self.mode, MODES), (self.detail, DETAILS)):
            for value, title in entries.items():
                combo.addItem(title, value)
        self.where.setToolTip("Where to look for objects")
        self.mode.setToolTip("Prompts: a point for each object that the model proposes, or a grid of points")
        self.detail.setToolTip("Scale at which the model sees the image")
        self.draw = QPushButton("Draw")
        self.draw.setToolTip("Draw the area: a polygon, or any shape, in a separate layer")
        self.points = QSpinBox()
        self.points.setRange(1, 256)
        self.points.setFixedWidth(POINTS_WIDTH)
        self.points.setToolTip("Points of the grid along each side")
        self.begin, self.cancel = QPushButton("Find"), QPushButton("Cancel")
        self.begin.setToolTip("Find all objects there; your objects stay as they are until you accept")
        self.cancel.setToolTip("Stop; masks found so far stay")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(8)
        self.status = StatusLines(STATUS_LINES)
        self.filters = Filters()
        self.accept, self.drop = QPushButton("Accept"), QPushButton("Discard")
        self.accept.setToolTip("Make objects of the masks shown, in one step; your objects stay")
        self.drop.setToolTip("Discard the masks found")
        self.folder = QPushButton("Use on a folder…")
        self.folder.setToolTip("Save these settings, and get the command that segments a folder with them")

    def _arrange(self) -> None:
        where = QHBoxLayout()
        where.addWidget(self.where, 1)
        where.addWidget(self.draw)
        asked = QHBoxLayout()
        asked.addWidget(self.mode, 1)
        asked.addWidget(self.points)
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(3)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Look in", where)
        form.addRow("Ask", asked)
        form.addRow("Detail", self.detail)
        run, decide = QHBoxLayout(), QHBoxLayout()
        for row, buttons in ((run, (self.begin, self.cancel)), (decide, (self.accept, self.drop))):
            row.setSpacing(4)
            for button in buttons:
                row.addWidget(button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(form)
        layout.addLayout(run)
        layout.addWidget(self.bar)
        layout.addWidget(self.status)
        layout.addWidget(self.filters)
        layout.addLayout(decide)
        layout.addWidget(self.review)
        layout.addWidget(self.folder)
        self._set(self.mode, self._base.mode)
        self._set(self.detail, self._base.detail)
        self.points.setValue(self._base.points_per_side)

    def _connect(self) -> None:
        self.begin.clicked.connect(lambda: self.start())
        self.cancel.clicked.connect(lambda: self.stop())
        self.accept.clicked.connect(lambda: self.take())
        self.drop.clicked.connect(lambda: self.discard())
        self.draw.clicked.connect(lambda: self._draw())
        self.folder.clicked.connect(lambda: self._use_on_a_folder())
        self.filters.changed.connect(self._redraw.start)
        self.where.currentIndexChanged.connect(lambda _index: self._show_state())
        self.mode.currentIndexChanged.connect(lambda _index: self._show_state())
        self.app.on_change(self._changed)
        self.app.on_close(partial(_close, self._worker, self.preview))

    def _timer(self, milliseconds: int, slot: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(milliseconds)
        timer.timeout.connect(slot)
        return timer

    @staticmethod
    def _set(combo: QComboBox, value: object) -> None:
        combo.setCurrentIndex(max(0, combo.findData(value)))

    # ---- settings

    @property
    def settings(self) -> AutomaticSettings:
        """Settings shown by the controls."""
        asked = replace(
            self._base,
            mode=self.mode.currentData(),
            detail=self.detail.currentData(),
            points_per_side=self.points.value(),
        )
        return self.filters.applied_to(asked)

    @settings.setter
    def settings(self, settings: AutomaticSettings) -> None:
        self._base = settings
        if self.detail.findData(settings.detail) < 0:
            self.detail.addItem(f"{settings.detail:g} times", settings.detail)
        self._set(self.mode, settings.mode)
        self._set(self.detail, settings.detail)
        self.points.setValue(settings.points_per_side)
        self.filters.show_settings(settings)
        self._redraw.start()

    @property
    def segment_settings(self) -> SegmentSettings:
        """Settings for files, with the panel's model, and channels and limits as the model sees them.

        Raises
        ------
        SettingsError
            If no file can be seen in that way.
        """
        choices, plane, image = self.app.encoder.choices, self._plane(), self.canvas.image
        settings = SegmentSettings(model=choices.model, device=choices.device, automatic=self.settings)
        if plane is None or image is None:
            return settings
        return as_seen(settings, plane, image, self.canvas.viewer.layers)

    # ---- a run

    def start(self) -> None:
        """Find all masks in the chosen place."""
        try:
            run = self._planned()
        except (NoPlaneError, ValueError) as error:
            self.status.say(str(error))
            return
        self.discard()
        from napari_samv1.app.everything import Findings
        from napari_samv1.engine.store import MemoryStore

        if self._store is None:
            self._store = MemoryStore()
        self._run, self.findings = run, Findings(run.means)
        self._ticket = self._worker.submit(FIND, _looking(run, self._store, self.app.encoder.pixels))
        self.bar.setRange(0, 0)
        self._show_state()
        self.status.say("Looking …")

    def stop(self) -> None:
        """End the run; masks found so far stay."""
        self._worker.cancel(FIND)
        if self._ticket is not None and not self._worker.busy:
            self._ticket = None
            self._show_state()

    def _planned(self) -> _Run:
        """Return the run that the controls describe.

        Raises
        ------
        NoPlaneError, ValueError
            If there is nothing to look at; the message is a sentence.
        """
        from napari_samv1.app.everything import Place, means_of

        canvas, encoder = self.canvas, self.app.encoder
        if canvas.image is None:
            raise ValueError("Choose an image first.")
        image = canvas.image
        plane = canvas.screen.plane()
        if encoder.model is None:
            raise ValueError(NO_MODEL)
        predictor = encoder.model.predictor
        means = means_of(predictor, self.settings)
        where: Where = self.where.currentData()
        places = [(plane, Place(plane.plane))]
        if where == "view":
            top, left, bottom, right = map(round, canvas.screen.part())
            window = top, left, bottom - top + 1, right - left + 1
            if min(window[2:]) < min(2, *plane.shape_yx):
                raise ValueError(OUTSIDE)
            whole = window == (0, 0, *plane.shape_yx)
            places = [(plane, Place(plane.plane, None if whole else window))]
        elif where in ("area", "rest"):
            area = self.area.on(image, plane)
            if area.empty:
                raise ValueError(AREA_BESIDE if self.area.is_drawn else NO_AREA)
            rows, columns = area.region
            box = rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start
            left_out = where == "rest"
            places = [(plane, Place(plane.plane, None if left_out else box, area, left_out))]
        elif where == "stack":
            places = [
                (canvas.screen.plane_beside(one), Place(one)) for one in planes_beside(image, plane.plane)
            ]
        made_by = encoder.computation
        return _Run(image, plane.data_revision, tuple(places), means, predictor, made_by)

    def _progressed(self, _key: object, report: Any) -> None:
        if self.findings is None or self._ticket is None or report.run is not self._run:
            return
        if report.progress is not None:
            done, total = report.progress
            self.bar.setRange(0, total)
            self.bar.setValue(done)
            return
        for batch in report.batches:
            self.findings.extend(batch)
        # drawn later, because batches may come faster than they are drawn
        if not self._arrivals.isActive():
            self._arrivals.start()

    def _finished(self, outcome: Outcome) -> None:
        report: _Report | None = outcome.value
        is_mine = report.run is self._run if report is not None else self._ticket is not None
        if self.findings is None or not is_mine:
            return
        # without a value, the outcome may be of an earlier run, cancelled before it began
        if (
            report is None
            and outcome.error is None
            and self._ticket is not None
            and not self._ticket.cancelled
        ):
            return
        self._ticket = None
        for batch in () if report is None else report.batches:
            self.findings.extend(batch)
        self.findings.is_complete = report is not None and report.is_complete
        self._show_found()
        if outcome.error is not None:
            self.status.say(f"Stopped: {outcome.error or type(outcome.error).__name__}")

    # ---- masks found

    def kept_on(self, findings: PlaneFindings) -> list[int]:
        """Return a plane's masks that pass the filters and overlap no existing object."""
        return findings.kept(self.settings, self._existing_on(findings))

    def _existing_on(self, findings: PlaneFindings) -> Existing:
        from napari_samv1.app.everything import existing_on

        binding = self.canvas
        document, labels, image = binding.document, binding.labels, binding.image
        now = (id(document), 0 if document is None else document.revision, id(labels))
        cached = self._existing.get(findings.plane)
        if cached is None or cached[0] != now:
            shown = None
            if image is not None:
                shown = binding.images.of(image).shown(findings.plane, labels)
            cached = now, existing_on(document, findings.plane, findings.plane_hw, shown)
            self._existing[findings.plane] = cached
        return cached[1]

    def take(self) -> None:
        """Make objects of all masks that pass the filters, on all planes, in one step."""
        from napari_samv1.app.everything import accept

        findings, run, document = self.findings, self._run, self.canvas.document
        if findings is None or run is None or document is None or not self._is_current():
            return
        self._existing.clear()
        chosen = [(one, self.kept_on(one)) for one in findings.planes.values()]
        count = sum(len(kept) for _, kept in chosen)
        if not count:
            self._show_found()
            return
        self.stop()
        binding = self.canvas
        first = binding.current.next()
        step = accept(document, chosen, first, run.made_by)
        self.preview.hide()
        # the masks are to be seen, also where a Labels layer was deleted before
        binding.masks.dismissed = False
        problem = binding.edits.do(step)
        binding.current.next()
        self._forget()
        self.app.sync()
        self.status.say(problem or f"{_objects(count)} made. Undo removes them.")
        self._made = _image_and_revision(binding)
        self.accepted.emit(count)

    def discard(self) -> None:
        """Stop the run, and discard its masks."""
        self._made = None
        self._worker.cancel(FIND)
        self._forget()
        self.status.say("")

    def _forget(self) -> None:
        self.findings = self._run = self._ticket = None
        self._existing.clear()
        self._arrivals.stop()
        self.preview.hide()
        self._show_state()

    def _show_found(self) -> None:
        """Filter the masks, and show those on the displayed plane."""
        self._arrivals.stop()
        findings, run = self.findings, self._run
        if findings is None or run is None:
            self._show_state()
            return
        started = time.perf_counter()
        kept = {plane: self.kept_on(one) for plane, one in findings.planes.items()}
        plane = self._plane()
        shown = None if plane is None else findings.planes.get(plane.plane)
        if shown is not None:
            self.filters.make_room_for(shown.largest_across)
        if plane is not None:
            self.preview.show({} if shown is None else shown.shown(kept[shown.plane]), run.image, plane)
        self._say_found(findings, sum(map(len, kept.values())), len(kept))
        self._show_state(sum(map(len, kept.values())))
        # with many masks, most of the time stays free for the user's own work
        spent = round(1000 * (time.perf_counter() - started))
        self._arrivals.setInterval(max(ARRIVALS_MILLISECONDS, ARRIVALS_PAUSE * spent))

    def _say_found(self, findings: Findings, kept: int, planes: int) -> None:
        words = f"{findings.count} found, {kept} kept"
        if planes > 1:
            words += f" on {planes} slices"
        if self._ticket is None and not findings.is_complete:
            words += ", stopped before the end"
        if findings.hides_some(self.settings):
            words += ". Find again to see less certain masks"
        self.status.say(words + ".")

    def _changed(self, old: State, new: State) -> None:
        if self._made is not None and self._made != _image_and_revision(self.canvas):
            # undo would remove something else now
            self._made = None
            self.status.say("")
        if new.differs(old, "layers", "place"):
            self._look_again()
        elif new.differs(old, "revision") and self.findings is not None:
            self._redraw.start()
        if new.differs(old, "model"):
            self.points.setVisible(self._asks_a_grid())

    def _look_again(self) -> None:
        if self.findings is None:
            return
        if self._is_current():
            self._redraw.start()
        else:
            had_some = self.findings.count > 0
            self.discard()
            self.status.say(DISCARDED if had_some else "")

    def _is_current(self) -> bool:
        """Return True if the run's image is still chosen, with the same pixels."""
        run, image = self._run, self.canvas.image
        if run is None or image is not run.image:
            return False
        return self.canvas.images.of(image).revision == run.revision

    def _plane(self) -> DisplayedPlane | None:
        try:
            return self.canvas.screen.plane()
        except NoPlaneError:
            return None

    def _show_state(self, kept: int = 0) -> None:
        is_running = self._ticket is not None
        self.begin.setEnabled(not is_running)
        self.cancel.setEnabled(is_running)
        self.bar.setVisible(is_running)
        self.accept.setEnabled(kept > 0)
        self.accept.setText(f"Accept {kept}" if kept else "Accept")
        self.drop.setEnabled(self.findings is not None)
        self.draw.setVisible(self.where.currentData() in ("area", "rest"))
        self.points.setVisible(self._asks_a_grid())

    def _asks_a_grid(self) -> bool:
        model = self.app.encoder.model
        mode = self.mode.currentData()
        return mode == "grid" or (mode == "auto" and model is not None and model.predictor.proposer is None)

    # ---- area and folder

    def _draw(self) -> None:
        image = self.canvas.image
        if image is None:
            self.status.say("Choose an image first.")
        else:
            self.area.draw(image)

    def _use_on_a_folder(self) -> None:
        try:
            settings = self.segment_settings
        except SettingsError as error:
            self.status.say(str(error))
            return
        image = self.canvas.image
        path = None if image is None else image.source.path
        FolderDialog(settings, None if path is None else Path(path).parent, self).show()


def _image_and_revision(canvas: AnnotationBinding) -> tuple[object, int]:
    """The chosen image, and the number of changes to its annotation."""
    return canvas.image, 0 if canvas.document is None else canvas.document.revision


def _objects(count: int) -> str:
    return "1 object" if count == 1 else f"{count} objects"


def _looking(run: _Run, store: MemoryStore, pixels: dict[Hashable, str]) -> Callable[[Ticket], _Report]:
    """Job that finds objects, and hashes the pixels of their planes, by which a session knows its image."""

    def job(ticket: Ticket) -> _Report:
        from napari_samv1.app.encoding import learn_pixels
        from napari_samv1.app.everything import look
        from napari_samv1.engine.progress import Cancelled

        undelivered: list[Batch] = []
        hashed: set[Plane] = set()

        def deliver(batch: Batch) -> None:
            # a batch that was decoding at the cancel is kept
            if ticket.cancelled:
                undelivered.append(batch)
            else:
                ticket.report(_Report(run, (batch,)))
            if batch.plane not in hashed:
                hashed.add(batch.plane)
                shown = next(plane for plane, place in run.places if place.plane == batch.plane)
                learn_pixels(shown, pixels)

        for number, (plane, place) in enumerate(run.places):

            def on_progress(done: int, total: int, number: int = number) -> None:
                if ticket.cancelled:
                    raise Cancelled
                share = 1000 * number + 1000 * done // max(1, total)
                ticket.report(_Report(run, progress=(share, 1000 * len(run.places))))

            view = plane.view(run.predictor, store)
            if not look(view, place, run.means, deliver, on_progress):
                return _Report(run, tuple(undelivered))
        return _Report(run, is_complete=True)

    return job


def _close(worker: Worker, preview: FoundPreview) -> None:
    # takes neither part nor panel, because it runs after they are deleted
    worker.stop()
    preview.close()
