"""A session whose objects were found automatically in regions of an image is repeated from its file."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from napari_samv1.annotation.document import Document
from napari_samv1.app.everything import Findings, Place, accept, look, means_of
from napari_samv1.checkpoints.load import load_model
from napari_samv1.checkpoints.meta_keys import to_published
from napari_samv1.engine.predictor import Predictor
from napari_samv1.images.hashing import hash_pixels
from napari_samv1.records.automatic import AutomaticSettings
from napari_samv1.records.computation import Computation, Environment
from napari_samv1.records.place import Plane
from napari_samv1.records.preparation import Preparation
from napari_samv1.storage.session.folder import open_session, save_session
from napari_samv1.storage.session.record import ImageRecord, PlaneRecord, PlaneSource, SessionRecord
from napari_samv1.storage.session.replay import replay
from small_model import picture, random_model


@pytest.mark.parametrize("cleaned", [False, True])
def test_objects_found_in_regions_are_repeated_bit_for_bit(tmp_path, cleaned):
    weights = tmp_path / "random.pth"
    torch.save(to_published(random_model().network.state_dict(), random_model().config), weights)
    pixels = picture(150, 130, seed=1)[..., 0]
    Image.fromarray(pixels).save(tmp_path / "image.png")
    model = load_model(weights, device="cpu", preparation=Preparation(side=64))
    settings = AutomaticSettings(
        mode="grid",
        detail=1.0,
        points_per_side=3,
        pred_iou_thresh=-9.0,
        stability_score_thresh=0.0,
        min_mask_region_area=4 if cleaned else 0,
    )
    predictor = Predictor(model)
    view = predictor.on_image(pixels, intensity=(0.0, 255.0), plane=(None, None))
    means = means_of(predictor, settings)
    findings = Findings(means)
    look(view, Place(Plane()), means, findings.extend, lambda done, total: None)
    document = Document()
    chosen = [(one, one.kept(settings)[:20]) for one in findings.planes.values()]
    made_by = Computation(model.name, str(weights), Environment.now())
    document.apply(accept(document, chosen, 1, made_by))
    pieces = tuple(document.on(Plane()).objects.values())
    assert len({piece.answer.request.embedding_key.frame.window_yxhw for piece in pieces}) > 1
    source = PlaneSource(
        "image", (150, 130), "uint8", pixels=hash_pixels(pixels), path=str(tmp_path / "image.png")
    )
    plane = PlaneRecord(source, (150, 130), pieces, document.on(Plane()).stack)
    record = SessionRecord((ImageRecord(tuple(document.objects.values()), (plane,)),))
    opened = open_session(save_session(tmp_path / "s", record))
    [reopened] = opened.planes
    for before, after in zip(pieces, reopened.pieces, strict=True):
        assert after.origin == "automatic"
        assert after.mask == before.mask
        assert not after.pending
        np.testing.assert_equal(after.scores.iou, before.scores.iou)
    results = list(replay(opened))
    assert len(results) == len(pieces)
    if cleaned:
        assert all("find everything again" in one.note for one in results)
    else:
        assert all(one.identical for one in results), [str(one) for one in results]
