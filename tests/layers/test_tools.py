"""Taking a tool: the layers that it needs, and the one that its first mask needs."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Labels

from napari_samv1.layers.tools import CanvasTools


@pytest.fixture
def tools(viewer, bound):
    tools = CanvasTools(viewer, bound, lambda _milliseconds, call: call())
    yield tools
    tools.close()


@pytest.mark.parametrize(("tool", "kind"), [("click", "points"), ("box", "shapes"), ("scribble", "shapes")])
def test_a_tool_for_prompts_makes_the_masks_layer_too_so_that_the_first_click_need_not(
    viewer, bound, tools, tool, kind
):
    tools.take(tool)
    prompts = getattr(bound, kind)
    assert list(viewer.layers) == [bound.image, bound.labels, prompts]
    assert viewer.layers.selection.active is prompts
    assert tools.tool == tool
    assert not bound.labels.data.any()


def test_the_first_mask_is_written_to_the_layer_that_was_made_with_the_tool(bound, canvas, tools, settle):
    tools.take("click")
    labels = bound.labels
    canvas.click(bound.points, 10, 20)
    assert settle() == []
    assert bound.labels is labels
    assert np.count_nonzero(labels.data) == 25


def test_a_tool_keeps_the_labels_layer_that_was_chosen(viewer, bound, tools):
    own = viewer.add_labels(np.zeros(bound.image.data.shape, dtype=np.uint16))
    bound.labels = own
    tools.take("click")
    assert bound.labels is own
    assert [layer for layer in viewer.layers if isinstance(layer, Labels)] == [own]


def test_a_labels_layer_that_a_person_deleted_comes_back_with_the_next_prompt_alone(
    viewer, bound, canvas, tools, settle
):
    tools.take("click")
    viewer.layers.remove(bound.labels)
    tools.take("box")
    tools.take("click")
    assert bound.labels is None
    canvas.click(bound.points, 10, 20)
    settle()
    assert np.count_nonzero(bound.labels.data) == 25


def test_in_3d_a_tool_makes_its_own_layer_alone(viewer, bound, canvas, tools, settle):
    viewer.dims.ndisplay = 3
    tools.take("click")
    assert bound.points is not None
    assert bound.labels is None
    viewer.dims.ndisplay = 2
    canvas.click(bound.points, 10, 20)
    settle()
    assert np.count_nonzero(bound.labels.data) == 25


def test_picking_ends_where_another_labels_layer_is_chosen(viewer, bound, tools):
    tools.take("pick")
    first = bound.labels
    assert len(first.mouse_drag_callbacks) == 2  # napari's own, and ours
    bound.labels = viewer.add_labels(np.zeros(bound.image.data.shape, dtype=np.uint16))
    tools.follow()
    assert len(first.mouse_drag_callbacks) == 1
