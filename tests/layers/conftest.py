"""A viewer without a window, and a model whose masks can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from canvas import Canvas
from napari_samv1.engine.jobs import run_each
from napari_samv1.layers.binding import AnnotationBinding
from shared_window import shared_window, window_of_this_file
from squares import embedding, squares

__all__ = ["embedding", "shared_window", "squares", "window_of_this_file"]

HW = (40, 60)


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def canvas(viewer):
    return Canvas(viewer)


@pytest.fixture
def notices():
    return []


@pytest.fixture
def bound(viewer, notices):
    """A binding on an image; what it tells is written down."""
    tells = {
        name: (lambda name=name: notices.append(name))
        for name in ("on_prompts", "on_plane", "on_layers", "on_current")
    }
    binding = AnnotationBinding(viewer, on_edited=notices.append, **tells)
    binding.image = viewer.add_image(np.zeros(HW, dtype=np.uint8), name="coins")
    yield binding
    binding.close()


@pytest.fixture
def settle(bound, squares, embedding):
    """Sync and decode, as the panel does; returns what it would say."""

    def settle():
        synced = bound.sync()
        said = [synced.problem, *synced.notes]
        for result in run_each(squares, bound.edits.jobs(embedding)):
            said.append(bound.edits.accept([result]))
        return [sentence for sentence in said if sentence]

    return settle
