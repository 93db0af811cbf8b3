"""Progress of a run, and its cancelling."""

from __future__ import annotations

from napari_samv1.engine.progress import OnProgress


class Progress:
    """Counts decoded prompts for a callback ``(done, total)``, which may raise ``Cancelled``.

    ``total`` grows where what there is to ask is only known once a region is encoded.
    """

    def __init__(self, on_progress: OnProgress | None, total: int = 0) -> None:
        self.on_progress = on_progress
        self.total = total
        self.before = 0
        self.done = 0

    def expect(self, more: int) -> None:
        """There is more to decode than was known."""
        self.total += more
        self.tell()

    def decoded(self, done: int) -> None:
        """So many of the current part are decoded."""
        self.done = self.before + done
        self.tell()

    def part_is_done(self) -> None:
        """The next part counts from here."""
        self.before = self.done

    def tell(self) -> None:
        """Also while nothing is decoded yet: a callback may end the run during an encoding."""
        if self.on_progress is not None:
            self.on_progress(self.done, self.total)


SHARES = 100
"""Steps that a region counts in a callback's ``total``."""


class Share:
    """One of several regions in the progress of a run that looks at them one by one."""

    def __init__(self, on_progress: OnProgress | None, place: int, count: int) -> None:
        self.on_progress = on_progress
        self.place = place
        self.count = count
        self.most = 0.0

    def at(self, part: float) -> None:
        """So much of the region, 0 to 1, is done; never less than before."""
        self.most = max(self.most, part)
        if self.on_progress is not None:
            self.on_progress(SHARES * self.place + int(SHARES * self.most), SHARES * self.count)
