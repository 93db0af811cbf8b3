"""The computed slide of the sample menu: little of it is read, and it is found again for replay."""

from __future__ import annotations

import numpy as np
from napari.components import ViewerModel

from napari_samv1.checkpoints.load import load_model
from napari_samv1.engine.predictor import Predictor
from napari_samv1.images.hashing import SAMPLE
from napari_samv1.images.slide import LEVELS, SIDE, SlideLevel
from napari_samv1.layers.image import displayed_plane
from napari_samv1.layers.samples import slide
from napari_samv1.storage.session.find_image import open_plane
from napari_samv1.storage.session.record import PlaneSource


def test_a_part_of_the_slide_is_the_same_however_it_is_cut():
    finest = SlideLevel(1)
    whole = finest[1000:1100, 2000:2200]
    np.testing.assert_array_equal(finest[1030:1040, 2050:2090], whole[30:40, 50:90])
    coarse = SlideLevel(4)[250:275, 500:550]
    np.testing.assert_array_equal(coarse, whole[1::4, 1::4])


def test_the_whole_slide_is_encoded_from_a_coarse_level(monkeypatch):
    viewer = ViewerModel()
    [(levels, options, _)] = slide()
    assert len(levels) == LEVELS
    layer = viewer.add_image(levels, **options)
    read = []
    original = SlideLevel.__getitem__

    def counted(self, cut):
        pixels = original(self, cut)
        read.append(pixels.size)
        return pixels

    monkeypatch.setattr(SlideLevel, "__getitem__", counted)
    plane = displayed_plane(viewer, layer)
    assert plane.shape_yx == (SIDE, SIDE)
    predictor = Predictor(load_model("tiny"))
    view = predictor.on_image(plane.source, plane=plane.plane, intensity=plane.intensity)
    embedding = view.encode((0, 0, SIDE, SIDE))
    assert embedding.frame.image_hw == (SIDE, SIDE)
    # the coarsest level has a million pixels; dask computes whole chunks of those that are sampled
    assert sum(read) < 8_000_000
    source = PlaneSource(
        "slide",
        (SIDE, SIDE),
        "uint8",
        pixels=f"{SAMPLE}{plane.source.identity.sample}",
        sample="napari-samv1:slide",
    )
    again, index = open_plane(source, (SIDE, SIDE))
    repeated = predictor.on_image(again, plane=index, intensity=plane.intensity)
    assert repeated.encode((0, 0, SIDE, SIDE)).key == embedding.key
