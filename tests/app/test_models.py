"""Loading a model for the panel."""

from __future__ import annotations

import pytest

from napari_samv1.app.models import Choices, load
from napari_samv1.app.worker import Ticket
from napari_samv1.checkpoints.record import LoadedModel
from napari_samv1.engine.embedding import Embedding


def test_a_graphics_card_that_fails_is_left_to_the_panel_which_changes_the_device() -> None:
    ready = load(Choices(model="tiny", device="cpu"), Ticket("load", lambda *_: None))

    def fail(_model: LoadedModel) -> Embedding:
        raise RuntimeError("CUDA error: unspecified launch failure")

    with pytest.raises(RuntimeError, match="launch failure"):
        ready.predictor.encoded(fail)
