"""Whatever a record holds is in the file, and comes back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_samv1.annotation.pieces import (
    ORIGINS,
    Answer,
    CandidateScores,
    Object,
    Piece,
    Request,
    paint_over,
)
from napari_samv1.engine.embedding import EmbeddingKey
from napari_samv1.masks.clean import CleanUp
from napari_samv1.masks.drawn import prompts_of
from napari_samv1.records.computation import Computation, Environment
from napari_samv1.records.display import Channel, Display, Paint, Projection, Slab
from napari_samv1.records.drawn import DrawnShape
from napari_samv1.records.frame import Frame
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.place import Plane
from napari_samv1.records.preparation import Preparation
from napari_samv1.records.prompts import Prompts
from napari_samv1.records.settings import CHOICES, ObjectSettings, Rule
from napari_samv1.records.sight import Sight
from napari_samv1.storage.session import codec
from napari_samv1.storage.session.codec import SessionWriter, parse, schema, to_record
from napari_samv1.storage.session.record import ImageRecord, PlaneRecord, PlaneSource, SessionRecord, World

from .conftest import assert_same_record, crop, key, one_object, session_of, small_plane

PAGE = Path(__file__).parents[2] / "docs" / "session-format.md"
HW = (12, 15)

numbers = st.floats(-1e9, 1e9)
texts = st.text(max_size=8)
ids = st.integers(1, 2**63 - 1)
counts = st.integers(1, 2**31 - 1)
indices = st.sampled_from([0, 1, 2, 3])
places_yx = st.tuples(st.floats(-5, 20), st.floats(-5, 20))
crops = arrays(np.bool_, HW).map(MaskCrop.from_mask)
objects_settings = st.builds(
    ObjectSettings,
    choice=st.sampled_from(CHOICES),
    threshold=numbers,
    cleanup=st.none()
    | st.builds(
        CleanUp,
        fill_holes=st.booleans(),
        drop_islands=st.integers(0, 10**6),
        keep_largest=st.booleans(),
        smooth=st.floats(0, 1000),
        grow=st.integers(-10_000, 10_000),
    ),
    rule=st.builds(Rule, kind=st.sampled_from(["keep", "overwrite"]), label=st.integers(0, 2**63 - 1))
    | st.builds(Rule, kind=st.just("inside"), label=ids),
    clicked_piece=st.booleans(),
)


@st.composite
def prompts(draw: Any) -> Prompts:
    points = draw(st.lists(places_yx, max_size=3))
    labels = draw(st.lists(st.sampled_from([0, 1]), min_size=len(points), max_size=len(points)))
    boxes = draw(st.lists(st.tuples(*[st.floats(-5, 20)] * 4), max_size=2))
    area = draw(st.none() | crops.filter(lambda one: not one.empty))
    within = draw(st.none() | st.just((-0.5, 7.25, 20.0, 1e3)))
    return Prompts(points, labels, boxes, area, draw(st.none() | indices), within)


@st.composite
def shapes(draw: Any) -> DrawnShape:
    kind = draw(st.sampled_from(["point", "rectangle", "ellipse", "polygon", "path", "line"]))
    least, most = {"point": (1, 1), "line": (2, 2), "rectangle": (4, 4), "ellipse": (4, 4)}.get(kind, (2, 6))
    vertices = draw(st.lists(places_yx, min_size=least, max_size=most))
    return DrawnShape(kind, np.array(vertices, dtype=np.float64), draw(st.booleans()))


environments = st.builds(Environment, texts, texts, texts, texts, texts, texts, threads=st.integers(1, 4096))
computations = st.builds(Computation, texts, texts, environments)
preparations = st.builds(
    Preparation,
    side=counts,
    sizing=st.sampled_from(["native", "padded", "stretched"]),
    mean=st.tuples(numbers, numbers, numbers),
    std=st.tuples(numbers, numbers, numbers),
    resampling=st.sampled_from(["bilinear", "bicubic"]),
    minmax=st.booleans(),
    percentiles=st.tuples(st.floats(0, 49), st.floats(50, 100)),
    box_only=st.booleans(),
)
frames = st.builds(
    lambda hw, side, patch, top: Frame.plan(hw, side=side * patch, patch=patch, window_yxhw=(top, 2, 9, 8)),
    st.tuples(st.integers(20, 90), st.integers(20, 90)),
    st.integers(1, 9),
    st.integers(1, 16),
    st.integers(0, 9),
)
units = st.floats(0, 1)
channels = st.builds(
    Channel,
    low=st.floats(-1e6, 0),
    high=st.floats(0, 1e6),
    gamma=st.floats(0.01, 100),
    paint=st.builds(
        Paint,
        colours=st.lists(st.tuples(units, units, units, units), min_size=2, max_size=4).map(tuple),
        blending=st.sampled_from(["opaque", "translucent", "additive", "minimum", "multiplicative"]),
        opacity=units,
    ),
    rgb=st.booleans(),
    pixels=texts,
    projection=st.none()
    | st.builds(
        Projection,
        st.sampled_from(["mean", "max", "min", "sum"]),
        st.tuples(st.builds(Slab, st.integers(0, 9), st.integers(-9, 0), st.integers(1, 9))),
    ),
)
displays = st.builds(Display, st.lists(channels, min_size=1, max_size=3).map(tuple))
sights = st.builds(
    Sight,
    channels=st.sampled_from(["layer", "visible"]),
    limits=st.sampled_from(["displayed", "plane", "stack", "fixed"]),
    percentiles=st.tuples(st.floats(0, 49), st.floats(50, 100)),
    fixed=st.tuples(st.floats(-1e6, -1), st.floats(0, 1e6)),
)
encodings = st.builds(
    EmbeddingKey,
    pixels=texts,
    weights=texts,
    preparation=preparations,
    frame=frames,
    intensity=st.none()
    | st.sampled_from(["dtype", "minmax"])
    | st.tuples(numbers, numbers)
    | st.tuples(st.just("percentile"), st.floats(0, 49), st.floats(50, 100)),
    gamma=st.floats(0.01, 100),
    dtype=texts,
    device=texts,
    display=st.none() | displays,
)
scores = st.tuples(*[st.floats(-1, 1) | st.just(float("nan"))] * 4)
answers = st.builds(
    Answer,
    request=st.builds(Request, prompts(), encodings),
    settings=objects_settings,
    chosen=st.none() | indices,
    scores=st.none() | st.builds(CandidateScores, scores, scores),
    batch=st.integers(1, 2**31 - 1).flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size))),
    made_by=st.none() | computations,
)


@st.composite
def pieces(draw: Any, number: int, plane: Plane) -> Piece:
    drawn = tuple(draw(st.lists(shapes(), max_size=3)))
    derived, painted_in, painted_out = draw(crops), draw(crops), draw(crops)
    answer = draw(st.none() | answers)
    return Piece(
        number,
        plane,
        # these two follow from the others
        pointed=prompts_of(drawn, HW),
        mask=paint_over(derived, painted_in, painted_out),
        prompts=draw(prompts()),
        drawn=drawn,
        settings=draw(objects_settings),
        derived=derived,
        answer=answer if answer is None or answer.chosen is None else replace(answer, mask=derived),
        ask_again=draw(st.booleans()),
        painted_in=painted_in,
        painted_out=painted_out,
        refined=draw(crops),
        origin=draw(st.sampled_from(ORIGINS)),
        reason=draw(texts),
    )


@st.composite
def sources(draw: Any, index: tuple[int | None, ...]) -> PlaneSource:
    row = st.tuples(numbers, numbers, numbers)
    return PlaneSource(
        name=draw(texts),
        image_shape=draw(st.tuples(*[counts] * len(index))),
        dtype=draw(texts),
        rgb=draw(st.booleans()),
        index=index,
        level=draw(st.integers(0, 2**31 - 1)),
        factors_yx=draw(st.tuples(st.floats(0.01, 1e4), st.floats(0.01, 1e4))),
        pixels=draw(texts),
        path=draw(texts),
        sample=draw(texts),
        world=World(draw(st.tuples(row, row)), draw(st.tuples(texts, texts))),
    )


@st.composite
def images(draw: Any) -> ImageRecord:
    objects = [
        Object(number, draw(objects_settings), draw(st.none() | ids))
        for number in draw(st.lists(ids, max_size=3, unique=True))
    ]
    planes = []
    for index in draw(st.lists(st.sampled_from([(0, None, None), (7, None, None)]), max_size=2, unique=True)):
        numbers_here = [one.id for one in objects if draw(st.booleans())]
        own = tuple(draw(pieces(number, Plane(index))) for number in numbers_here)
        order = tuple(draw(st.permutations(numbers_here)))
        beside = tuple(draw(st.lists(sources(index), max_size=2)))
        planes.append(PlaneRecord(draw(sources(index)), HW, own, order, channels=beside))
    return ImageRecord(tuple(objects), tuple(planes))


def written(record: SessionRecord, writer: SessionWriter | None = None) -> bytes:
    return (writer or SessionWriter()).text(record, ("",) * len(record.planes), {})


@given(st.lists(images(), max_size=2).map(tuple), sights)
@settings(max_examples=60)
def test_every_record_comes_back_as_it_was(images, sight):
    record = SessionRecord(images, "2026-01-02T03:04:05Z", sight=sight)
    opened = to_record(parse(written(record)), {})
    assert_same_record(opened, record)
    assert opened.sight == sight
    assert opened.created == record.created
    assert written(opened).partition(b'"encodings"')[2] == written(record).partition(b'"encodings"')[2]


def _field_names(part: Any) -> set[str]:
    if isinstance(part, list):
        return set().union(*map(_field_names, part))
    if not isinstance(part, dict):
        return set()
    own = set(part["properties"]) if isinstance(part.get("properties"), dict) else set()
    return own.union(*map(_field_names, part.values()))


def test_the_page_on_the_format_names_every_field():
    names = _field_names(schema())
    assert {"images", "ask_again", "clicked_piece", "vertices_yx", "percentiles", "batch"} <= names
    page = PAGE.read_text("utf-8")
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []


@pytest.fixture
def written_pieces(monkeypatch):
    """The numbers of the pieces that were worked out, in order."""
    numbers: list[int] = []

    def write(piece, context):
        numbers.append(piece.id)
        return original.write(piece, context)

    original = codec.PIECE
    monkeypatch.setattr(codec, "PIECE", replace(original, write=write))
    return numbers


def test_of_two_thousand_pieces_only_the_changed_one_is_worked_out_again(written_pieces):
    square, encoding = crop(slice(5, 9), slice(5, 9)), key()
    pieces = [one_object(number, square, embedding_key=encoding) for number in range(1, 2001)]
    writer = SessionWriter()
    written(session_of(small_plane(*pieces)), writer)
    assert written_pieces == list(range(1, 2001))
    written_pieces.clear()
    pieces[1233] = replace(pieces[1233], reason="changed")
    record = session_of(small_plane(*pieces))
    text = written(record, writer)
    assert written_pieces == [1234]
    assert_same_record(to_record(parse(text), {}), record)


def test_an_encoding_that_no_answer_is_from_any_more_is_not_in_the_file():
    writer, square = SessionWriter(), crop(slice(5, 9), slice(5, 9))
    same = one_object(1, square)
    for gamma in (0.5, 0.6, 0.7):
        record = session_of(small_plane(same, one_object(2, square, embedding_key=key(gamma=gamma))))
        content = parse(written(record, writer))
        assert sorted(one["gamma"] for one in content["encodings"].values()) == [gamma, 1.0]
        assert_same_record(to_record(content, {}), record)
    content = parse(written(session_of(small_plane(one_object(3, answered=False))), writer))
    assert content["encodings"] == content["computations"] == {}
    # and one that comes back, by undo, is there again
    assert_same_record(to_record(parse(written(record, writer)), {}), record)
