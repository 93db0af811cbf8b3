"""Progress of an automatic run, and the way to cancel it."""

from __future__ import annotations

from napari_samv1.engine.progress import OnProgress


class Progress:
    """Counts decoded prompts for a callback ``(done, total)``, which may raise ``Cancelled``.

    ``total`` grows where the number of prompts is known only after a region is encoded.
    """

    def __init__(self, on_progress: OnProgress | None, total: int = 0) -> None:
        self.on_progress = on_progress
        self.total = total
        self.before = 0
        self.done = 0

    def expect(self, more: int) -> None:
        """Add prompts to the total."""
        self.total += more
        self.tell()

    def decoded(self, done: int) -> None:
        """Report the number of decoded prompts of the current part."""
        self.done = self.before + done
        self.tell()

    def part_is_done(self) -> None:
        """End a part; the next one counts on from here."""
        self.before = self.done

    def tell(self) -> None:
        """Call the callback; during an encoding too, so that it can cancel the run there."""
        if self.on_progress is not None:
            self.on_progress(self.done, self.total)


SHARES = 100
"""Steps of one region in a callback's ``total``."""


class Share:
    """Progress of one of several regions in a run."""

    def __init__(self, on_progress: OnProgress | None, place: int, count: int) -> None:
        self.on_progress = on_progress
        self.place = place
        self.count = count
        self.most = 0.0

    def at(self, part: float) -> None:
        """Report the finished part of the region, 0 to 1, which never shrinks."""
        self.most = max(self.most, part)
        if self.on_progress is not None:
            self.on_progress(SHARES * self.place + int(SHARES * self.most), SHARES * self.count)
