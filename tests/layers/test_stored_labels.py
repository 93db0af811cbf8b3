"""Labels layers that lie in a file: written where something changed, and read where it matters."""

from __future__ import annotations

import dask.array
import numpy as np
import pytest
import xarray
import zarr
from napari.components import ViewerModel
from napari.layers import Labels

from canvas import Canvas
from napari_samv1.layers.binding import AnnotationBinding
from napari_samv1.layers.labels.make import highest_label, refusal
from napari_samv1.records.mask_crop import MaskCrop
from painting import paint
from stores import tensor_store

SIDE = 8_000


class Counted:
    """An array that is no numpy array, and tells what is read and written of it."""

    def __init__(self, data):
        self.data, self.shape, self.dtype, self.ndim = data, data.shape, data.dtype, data.ndim
        self.size, self.chunks, self.fill_value = int(np.prod(data.shape)), data.chunks, data.fill_value
        self.read, self.written = [], []

    @property
    def nchunks_initialized(self):
        return self.data.nchunks_initialized

    def __getitem__(self, key):
        found = np.asarray(self.data[key])
        self.read.append(found.size)
        return found

    def __setitem__(self, key, values):
        self.written.append(np.asarray(values).size)
        self.data[key] = values


@pytest.fixture
def store(tmp_path):
    return zarr.create_array(
        tmp_path / "labels.zarr", shape=(SIDE, SIDE), dtype=np.uint32, chunks=(1000, 1000)
    )


@pytest.fixture
def binding():
    viewer = ViewerModel()
    binding = AnnotationBinding(viewer)
    pixels = np.broadcast_to(np.uint8(7), (SIDE, SIDE))
    binding.image = viewer.add_image(pixels, contrast_limits=(0, 255), name="slide")
    yield binding
    binding.close()


def bind(binding, data):
    layer = binding.viewer.add_layer(Labels(data, name="masks"))
    binding.labels = layer
    return layer


def box(y0, x0, y1, x1):
    return MaskCrop((y0, x0), np.ones((y1 - y0, x1 - x0), dtype=bool))


def test_an_empty_store_is_written_where_objects_are_and_hardly_read(binding, store, tmp_path):
    counted = Counted(store)
    bind(binding, counted)
    counted.read.clear()
    paint(binding, 1, box(7_000, 7_000, 7_100, 7_200))
    paint(binding, 2, box(3, 4, 23, 34))
    assert counted.written == [100 * 200, 20 * 30]
    # and what napari draws of it, which is all of the plane each time
    ours = [size for size in counted.read if size < SIDE * SIDE]
    assert sum(ours) < 4 * (100 * 200 + 20 * 30)
    again = zarr.open_array(tmp_path / "labels.zarr", mode="r")
    assert again.nchunks_initialized == 2
    assert (again[7_000:7_100, 7_000:7_200] == 1).all()
    assert (again[3:23, 4:34] == 2).all()


def test_labels_in_a_tensorstore_are_written_and_reach_the_disk(binding, tmp_path):
    labels = tensor_store(tmp_path / "labels.zarr", np.zeros((SIDE, SIDE), np.uint16), chunk=1000)
    labels[100:110, 100:110] = 41
    bind(binding, labels)
    assert binding.current.number == 42
    paint(binding, 42, box(105, 105, 120, 120))
    on_disk = zarr.open_array(tmp_path / "labels.zarr", mode="r")
    assert (on_disk[100:110, 100:110] == 41).all()
    assert on_disk[115, 115] == 42
    binding.edits.undo()
    assert on_disk[115, 115] == 0


def test_labels_in_an_xarray_are_written(binding):
    labels = xarray.DataArray(np.zeros((SIDE, SIDE), np.uint16), dims=("y", "x"))
    bind(binding, labels)
    paint(binding, 3, box(5, 6, 10, 12))
    assert np.argwhere(labels.values == 3).tolist() == [[y, x] for y in range(5, 10) for x in range(6, 12)]


def test_labels_that_lie_in_a_store_are_kept_beneath_and_come_back(binding, store):
    store[100:110, 100:110] = 41
    bind(binding, store)
    assert binding.current.number == 42
    paint(binding, 42, box(105, 105, 120, 120))
    # under the rule "keep" the label of another tool stays
    assert (store[100:110, 100:110] == 41).all()
    assert store[115, 115] == 42
    binding.edits.undo()
    assert store[115, 115] == 0


def test_a_label_of_another_tool_becomes_an_object_block_by_block(binding, store):
    store[1990:2010, 4000:4001] = 7
    counted = Counted(store)
    bind(binding, counted)
    counted.read.clear()
    binding.current.number = 7
    assert binding.masks.shows(7)
    assert not binding.masks.shows(8)
    binding.edits.refine()
    assert binding.document.pieces_of(7)[0].mask == box(1990, 4000, 2010, 4001)
    assert max(size for size in counted.read if size < SIDE * SIDE) <= 2000 * 2000


def test_the_largest_label_is_read_once_by_whole_chunks(store):
    store[7_999, 7_999] = 70_000
    counted = Counted(store)
    layer = Labels(counted)
    counted.read.clear()
    assert highest_label(layer) == 70_000
    assert sum(counted.read) == SIDE * SIDE
    assert set(counted.read) == {2000 * 2000}
    assert highest_label(layer) == 70_000
    assert len(counted.read) == 16


def test_a_store_without_any_chunk_is_not_read_for_its_largest_label(store):
    counted = Counted(store)
    layer = Labels(counted)
    counted.read.clear()
    assert highest_label(layer) == 0
    assert counted.read == []


def test_a_memory_map_has_strokes_on_the_disk(binding, tmp_path):
    path = tmp_path / "labels.dat"
    data = np.memmap(path, np.uint16, "w+", shape=(SIDE, SIDE))
    layer = bind(binding, data)
    layer.mode, layer.brush_size = "paint", 1
    Canvas(binding.viewer).drag(layer, (500, 500), (500, 509))
    assert binding.document.undo_label == "brush"
    with path.open("rb") as file:
        file.seek(2 * (500 * SIDE + 500))
        assert np.frombuffer(file.read(20), np.uint16).tolist() == [1] * 10


def test_what_a_library_keeps_back_is_flushed():
    flushed = []

    class Dataset(np.ndarray):
        def flush(self):
            flushed.append(int(self.sum()))

    viewer = ViewerModel()
    binding = AnnotationBinding(viewer)
    binding.image = viewer.add_image(np.zeros((40, 60), np.uint8))
    bind(binding, np.zeros((40, 60), np.uint16).view(Dataset))
    paint(binding, 1, box(0, 0, 2, 2))
    assert flushed == [4]
    binding.close()


def test_a_full_disk_is_a_sentence_and_the_object_stays(binding, store, monkeypatch):
    counted = Counted(store)
    bind(binding, counted)

    def fail(_self, _key, _values):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Counted, "__setitem__", fail)
    from napari_samv1.annotation import edits
    from napari_samv1.annotation.pieces import BrushStroke

    stroke = BrushStroke(binding.shown.plane, 1, box(0, 0, 9, 9))
    sentence = binding.edits.do(edits.paint(binding.document, [stroke]))
    assert "No space left on device" in sentence
    assert "save the session" in sentence
    assert binding.document.pieces_of(1)[0].mask.area == 81
    monkeypatch.undo()
    assert binding.masks.redraw() == ""
    assert (store[:9, :9] == 1).all()


def test_lazy_labels_are_refused_with_what_to_do():
    sentence = refusal(Labels(dask.array.zeros((40, 60), dtype=np.uint16, chunks=20), name="lazy"))
    assert "dask" in sentence
    assert "save it as zarr" in sentence
    levels = Labels([np.zeros((40, 60), np.uint16), np.zeros((20, 30), np.uint16)], multiscale=True)
    assert "New" in refusal(levels)


def test_a_store_that_is_read_only_is_refused(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", shape=(4, 4), dtype=np.uint8)
    assert "read-only" in refusal(Labels(zarr.open_array(tmp_path / "a.zarr", mode="r")))
