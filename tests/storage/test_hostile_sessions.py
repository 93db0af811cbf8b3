"""A session file is somebody's bytes: whatever it says, the answer is a session or one sentence."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import shutil
import zlib
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import tifffile

from napari_samv1.records.drawn import DrawnShape
from napari_samv1.records.prompts import Prompts
from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.session import codec, format_1, label_tiff, limits
from napari_samv1.storage.session.folder import open_session, save_session
from napari_samv1.storage.session.runs import to_text

from .conftest import one_object, session_of, small_plane

DELETE = object()


def shown(value):
    """Part of a test's name, the same in every process."""
    return "deleted" if value is DELETE else str(value)[:40]


@pytest.fixture
def folder(rich_record, tmp_path):
    return save_session(tmp_path / "s", rich_record)


@pytest.fixture
def content(folder):
    return json.loads((folder / "session.json").read_text("utf-8"))


@pytest.mark.parametrize("schema", [codec.schema, format_1.schema], ids=["2", "1"])
def test_the_schema_is_a_schema(schema):
    jsonschema.Draft202012Validator.check_schema(schema())


def put(content, path, value):
    changed = copy.deepcopy(content)
    node = changed
    for step in path[:-1]:
        node = node[step]
    if value is DELETE:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return changed


IMAGE = ("images", 0)
PLANE = (*IMAGE, "planes", 0)
FIRST = (*PLANE, "pieces", 0)
EDITED = (*PLANE, "pieces", 2)

WRONG = [
    (("format",), "another", "not a napari-samv1 session"),
    (("version",), 3, r"newer napari-samv1 \(format 3; this one reads up to 2\): update napari-samv1"),
    (("version",), True, "version"),
    (("version",), "1", "version"),
    (("extra",), 1, "extra"),
    (("images",), DELETE, "'images' is a required property"),
    (("saved",), "yesterday", "saved"),
    ((*FIRST, "prompts", "within"), [1, 2, 3], r"prompts\.within: \[1, 2, 3\] is too short"),
    ((*FIRST, "prompts", "within"), [9, 9, 1, 1], "within must be finite"),
    ((*PLANE, "shape_yx"), [60, 0], r"images\[0\]\.planes\[0\]\.shape_yx\[1\]: 0 is less than"),
    ((*PLANE, "shape_yx"), [50, 80], r"labels of \(60, 80\), the plane is \(50, 80\)"),
    ((*PLANE, "order"), [7, 1], "order must name each piece's object once"),
    ((*PLANE, "order"), [7, 1, 40000, 15, 14, 13, 99], "order must name each piece's object once"),
    ((*PLANE, "source", "index"), [4, 0, None], "index must have an entry"),
    ((*PLANE, "beneath"), "../../etc/passwd", "beneath"),
    ((*PLANE, "beneath"), "b" * 64, "cannot be read"),
    ((*IMAGE, "objects", 0, "id"), 7, "two objects share an id"),
    ((*IMAGE, "objects", 0, "id"), 99, "an object that the image does not have"),
    ((*IMAGE, "objects", 0, "parent"), 0, r"objects\[0\]\.parent"),
    ((*FIRST, "id"), 7, "two pieces share an object"),
    ((*FIRST, "id"), 1.0, "id"),
    ((*FIRST, "id"), 0, "id"),
    ((*FIRST, "settings", "choice"), 4, "choice"),
    ((*FIRST, "settings", "threshold"), "0", r"planes\[0\]\.pieces\[0\]\.settings\.threshold: '0' is not"),
    (
        (*FIRST, "settings", "rule"),
        {"kind": "inside", "label": 0},
        r"settings\.rule: the rule \"inside\" needs",
    ),
    ((*FIRST, "prompts", "labels"), [1], r"pieces\[0\]\.prompts: labels must hold"),
    ((*FIRST, "prompts", "points_yx"), [[1, 2, 3], [1, 2]], "points_yx"),
    ((*FIRST, "derived", "counts"), "", "must be 0 or more and fill"),
    ((*FIRST, "derived", "counts"), "zzz", "derived: "),
    ((*FIRST, "derived", "origin_yx"), [50, 70], "lies outside of"),
    ((*FIRST, "derived", "origin_yx"), [-1, 0], "-1 is less than"),
    ((*FIRST, "derived", "size_hw"), [2**31 - 1, 2**31 - 1], "is larger than a session can hold"),
    ((*FIRST, "derived", "size_hw"), [30000, 30000], "lies outside of"),
    ((*FIRST, "answer", "encoding"), "nowhere", "which the file does not hold"),
    ((*FIRST, "answer", "batch", "place"), 5, "does not exist in a batch of 5"),
    ((*FIRST, "answer", "computation"), "nowhere", "which the file does not hold"),
    ((*FIRST, "answer", "chosen"), 4, r"pieces\[0\]\.answer"),
    ((*FIRST, "answer", "iou"), [0.5], r"pieces\[0\]\.answer\.iou"),
    ((*EDITED, "answer", "settings", "choice"), "best", r"answer\.settings\.choice"),
    ((*EDITED, "answer", "prompts", "labels"), [1, 0], r"pieces\[2\]\.answer\.prompts: labels must hold"),
    ((*FIRST, "drawn", 0, "kind"), "spiral", r"pieces\[0\]\.drawn\[0\]\.kind"),
    ((*FIRST, "drawn", 0, "vertices_yx"), [], r"pieces\[0\]\.drawn\[0\]"),
    ((*FIRST, "drawn", 0, "vertices_yx"), [[1, 2], [3, 4]], r"pieces\[0\]\.drawn\[0\]"),
    ((*FIRST, "drawn", 2, "vertices_yx"), [[1, 2]], r"pieces\[0\]\.drawn\[2\]"),
    ((*FIRST, "drawn", 0, "vertices_yx"), [[1, 2, 3]], r"vertices_yx\[0\]"),
    ((*FIRST, "origin"), "stolen", "origin"),
    ((*FIRST, "ask_again"), 1, "ask_again"),
    ((*FIRST, "answer", "__class__"), "os.system", "__class__"),
]


@pytest.mark.parametrize(("path", "value", "sentence"), WRONG, ids=shown)
def test_what_does_not_fit_is_named_with_its_place(path, value, sentence, folder, content):
    (folder / "session.json").write_text(json.dumps(put(content, path, value)), "utf-8")
    with pytest.raises(SessionError, match=sentence) as raised:
        open_session(folder)
    assert str(raised.value).startswith(f"{folder / 'session.json'}: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        b"{" * 100_000,
        b'{"format": NaN}',
        b"\x80\x04\x95cos\nsystem\n.",
        b"\0" * 500,
    ],
)
def test_what_is_no_session_is_one_sentence(text, folder):
    (folder / "session.json").write_bytes(text)
    with pytest.raises(SessionError):
        open_session(folder)


def test_a_number_that_is_none_is_refused(folder):
    file = folder / "session.json"
    text = file.read_text("utf-8")
    for number in ("NaN", "Infinity", "1e999"):
        file.write_text(text.replace('"threshold": 0.1', f'"threshold": {number}'), "utf-8")
        with pytest.raises(SessionError, match="number"):
            open_session(folder)


def test_no_beginning_of_a_session_passes_for_one(folder):
    file = folder / "session.json"
    whole = file.read_bytes()
    for length in range(0, len(whole.rstrip()), 97):
        file.write_bytes(whole[:length])
        with pytest.raises(SessionError):
            open_session(folder)


def test_other_labels_beneath_than_those_saved_are_refused(folder):
    [beneath] = folder.glob("beneath-*.tif")
    beneath.write_bytes(beneath.read_bytes()[:-1] + b"x")
    with pytest.raises(SessionError, match="is not the file that was saved with the session"):
        open_session(folder)


def test_a_folder_without_a_session_is_told(tmp_path):
    with pytest.raises(SessionError, match=r"there is no session in .*: it would hold a file session.json"):
        open_session(tmp_path)
    with pytest.raises(SessionError, match="there is no session in"):
        open_session(tmp_path / "nowhere")


@pytest.mark.parametrize("percentiles", [[99.9, 0.1], [5, 5], [0, 101], [1], ["0", "1"]])
def test_percentiles_that_stretch_nothing_are_refused(folder, content, percentiles):
    [name, *_] = content["encodings"]
    wrong = put(content, ("encodings", name, "preparation", "percentiles"), percentiles)
    (folder / "session.json").write_text(json.dumps(wrong), "utf-8")
    with pytest.raises(SessionError, match="percentiles"):
        open_session(folder)


def test_two_planes_at_the_same_place_of_an_image_are_refused(folder, content):
    content["images"][0]["planes"] *= 2
    (folder / "session.json").write_text(json.dumps(content), "utf-8")
    with pytest.raises(SessionError, match=r"images\[0\]: two planes share an index"):
        open_session(folder)


def test_a_shape_that_would_fill_the_memory_is_refused(folder, content):
    [plane] = content["images"][0]["planes"]
    plane["shape_yx"], plane["beneath"] = [2**31 - 1, 2**31 - 1], None
    corners = [[0, 0], [0, 2**31], [2**31, 2**31], [2**31, 0]]
    plane["pieces"][0]["drawn"][2] = {"kind": "ellipse", "vertices_yx": corners, "positive": True}
    (folder / "session.json").write_text(json.dumps(content), "utf-8")
    with pytest.raises(SessionError, match=r"pieces\[0\]: the ellipse covers more than"):
        open_session(folder)


def rewritten(folder, content):
    (folder / "session.json").write_text(json.dumps(content), "utf-8")
    return folder


def first_piece(content):
    return content["images"][0]["planes"][0]["pieces"][0]


@pytest.mark.parametrize("name", ["drawn", "points_yx", "vertices_yx"])
def test_a_hundred_thousand_points_in_an_object_are_refused_before_they_are_read(folder, content, name):
    piece = first_piece(content)
    if name == "drawn":
        piece["drawn"] = piece["drawn"][:1] * 100_000
    elif name == "points_yx":
        piece["prompts"] |= {"points_yx": [[1.5, 2.5]] * 100_000, "labels": [1] * 100_000}
    else:
        piece["drawn"][2]["vertices_yx"] = [[1.5, 2.5]] * 100_000
    with pytest.raises(SessionError, match="a list of 100000; a session holds at most 20000 there"):
        open_session(rewritten(folder, content))


def test_what_could_not_be_opened_is_not_saved(tmp_path):
    many = one_object(7, prompts=Prompts(np.ones((20_001, 2)), np.ones(20_001, int)))
    with pytest.raises(SessionError, match=r"object 7 has 20001 prompts on one slice, and .* delete some"):
        save_session(tmp_path / "s", session_of(small_plane(many)))
    outline = DrawnShape("polygon", np.random.default_rng(0).uniform(0, 9, (20_001, 2)))
    long = one_object(8, drawn=(outline,))
    with pytest.raises(SessionError, match="object 8 has a shape of 20001 vertices"):
        save_session(tmp_path / "s", session_of(small_plane(long)))
    assert list((tmp_path / "s").iterdir()) == []


def test_values_that_are_nested_deep_are_refused(folder, content):
    content["extra"] = json.loads("[" * 500 + "]" * 500)
    with pytest.raises(SessionError, match="nested more than 24 deep"):
        open_session(rewritten(folder, content))


def test_a_text_that_would_fill_the_memory_is_refused_before_it_is_parsed(folder, monkeypatch):
    monkeypatch.setattr(limits, "MOST_BRACKETS", 1000)
    monkeypatch.setattr(codec.json, "loads", lambda *_args, **_keywords: pytest.fail("parsed"))
    (folder / "session.json").write_bytes(b"[" + b"[]," * 999 + b"[]]")
    with pytest.raises(SessionError, match="larger than any session"):
        open_session(folder)


def test_a_file_of_gigabytes_is_refused_before_it_is_read(folder, monkeypatch):
    with (folder / "session.json").open("r+b") as file:
        file.truncate(limits.MOST_TEXT_BYTES + 1)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("read"))
    with pytest.raises(SessionError, match=r"session\.json is larger than any session"):
        open_session(folder)


def full_mask(side: int) -> dict[str, object]:
    counts = to_text(np.array([0, side * side]))
    return {"origin_yx": [0, 0], "size_hw": [side, side], "counts": counts}


def test_masks_that_would_fill_the_memory_together_are_refused_before_any_is_unpacked(
    folder, content, monkeypatch
):
    side = 1 << 15
    [plane] = content["images"][0]["planes"]
    plane["shape_yx"], plane["beneath"] = [side, side], None
    for piece in plane["pieces"][:5]:
        piece["derived"] = full_mask(side)
    monkeypatch.setattr(codec, "from_run_lengths", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(SessionError, match=r"its masks have 53687\d+ pixels together"):
        open_session(rewritten(folder, content))


def test_shapes_that_would_fill_the_memory_together_are_refused_before_any_is_filled(
    folder, content, monkeypatch
):
    side = 1 << 15
    [plane] = content["images"][0]["planes"]
    plane["shape_yx"], plane["beneath"] = [side, side], None
    corners = [[0, 0], [0, side], [side, side], [side, 0]]
    ellipse = {"kind": "ellipse", "vertices_yx": corners, "positive": True}
    first_piece(content)["drawn"] = [ellipse] * 5
    monkeypatch.setattr(codec, "prompts_of", lambda *_: pytest.fail("filled"))
    with pytest.raises(SessionError, match="the drawn shapes cover more than"):
        open_session(rewritten(folder, content))


def test_an_outline_that_would_take_hours_is_refused_before_it_is_filled(folder, content, monkeypatch):
    side = 1 << 15
    [plane] = content["images"][0]["planes"]
    plane["shape_yx"], plane["beneath"] = [side, side], None
    zigzag = [[(number % 2) * side, number] for number in range(10_000)]
    first_piece(content)["drawn"][2] = {"kind": "polygon", "vertices_yx": zigzag, "positive": True}
    monkeypatch.setattr(codec, "prompts_of", lambda *_: pytest.fail("filled"))
    with pytest.raises(SessionError, match="outlines cross more than"):
        open_session(rewritten(folder, content))


def test_run_lengths_longer_than_any_are_refused(folder, content):
    first_piece(content)["derived"]["counts"] = "0" * (limits.MOST_COUNTS + 1)
    with pytest.raises(SessionError, match="run lengths have 16777217 characters"):
        open_session(rewritten(folder, content))


def test_coordinates_that_no_layer_could_show_are_refused(folder, content):
    first_piece(content)["drawn"][0]["vertices_yx"] = [[1e300, 0]]
    with pytest.raises(SessionError, match=r"drawn\[0\]\.vertices_yx: coordinates must be at most 1e\+12"):
        open_session(rewritten(folder, content))


def with_beneath(folder, content, tiff: bytes, shape_yx):
    """A session of one bare plane, with these bytes as the labels beneath."""
    digest = hashlib.sha256(tiff).hexdigest()
    (folder / f"beneath-{digest}.tif").write_bytes(tiff)
    [plane] = content["images"][0]["planes"]
    plane |= {"shape_yx": list(shape_yx), "order": [], "pieces": [], "beneath": digest}
    return rewritten(folder, content)


def tiff(labels, **keywords) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, labels, **{"compression": "zlib", "photometric": "minisblack", **keywords})
    return buffer.getvalue()


def packed_zeros(shape_yx: tuple[int, int]) -> bytes:
    """A uint16 label image of zeros as TIFF, whose four strips are the same one."""
    height, width = shape_yx
    strip = zlib.compress(np.zeros((height // 4, width), np.uint16).tobytes(), 9)
    return tiff(
        (strip for _ in range(4)),
        shape=shape_yx,
        dtype="uint16",
        rowsperstrip=height // 4,
    )


def test_labels_that_unpack_to_gigabytes_are_refused_by_their_header(folder, content, monkeypatch):
    bomb = packed_zeros((30_000, 30_000))
    assert len(bomb) < 2_000_000
    monkeypatch.setattr(label_tiff.zlib, "decompressobj", lambda: pytest.fail("unpacked"))
    with pytest.raises(SessionError, match=r"holds labels of 1\.8 GB in 1\.\d MB, which is more than"):
        open_session(with_beneath(folder, content, bomb, (30_000, 30_000)))
    # nor do they pass for a smaller plane's
    with pytest.raises(SessionError, match=r"holds labels of \(30000, 30000\), the plane is \(60, 80\)"):
        open_session(with_beneath(folder, content, bomb, (60, 80)))


def test_many_label_images_are_refused_by_what_they_take_together(folder, content, monkeypatch):
    monkeypatch.setattr(limits, "LEAST_MEMORY_BYTES", 60 * 80 * 2)
    monkeypatch.setattr(limits.os, "sysconf", lambda _: 1, raising=False)
    with_beneath(folder, content, tiff(np.zeros((60, 80), np.uint16)), (60, 80))
    with pytest.raises(SessionError, match="its label images have"):
        open_session(folder)


def test_a_strip_that_unpacks_to_more_than_its_rows_is_not_unpacked_further(folder, content):
    labels = np.arange(60 * 80, dtype=np.uint16).reshape(60, 80)
    long = zlib.compress(labels.tobytes() + bytes(1 << 28), 9)
    [plane] = content["images"][0]["planes"]
    image = tiff(iter([long]), shape=(60, 80), dtype="uint16", rowsperstrip=60)
    before = resident_peak()
    opened = open_session(with_beneath(folder, content, image, (60, 80)))
    np.testing.assert_array_equal(opened.planes[0].beneath, labels)
    assert resident_peak() - before < 100_000_000
    assert plane["beneath"]


def resident_peak() -> int:
    """The most memory that this process has had; 0 where that is not known."""
    try:
        import resource
    except ImportError:
        return 0
    return 1024 * int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


@pytest.mark.parametrize(
    "labels",
    [
        tiff(np.zeros((60, 80), np.float32)),
        tiff(np.zeros((60, 80, 3), np.uint8), photometric="rgb"),
        tiff(np.zeros((60, 80), np.uint8), compression=None),
        tiff(np.zeros((64, 80), np.uint8), tile=(16, 16)),
        tiff(np.ones((60, 80), np.uint8))[:-9],
        b"II*\0\xff\xff\xff\x7f",
        b"nonsense",
        b"",
    ],
    ids=["floats", "colours", "another compression", "tiles", "cut off", "no page", "no tiff", "nothing"],
)
def test_labels_that_are_none_of_ours_are_one_sentence(folder, content, labels):
    with pytest.raises(SessionError, match=r"is damaged|is not a label image of a session"):
        open_session(with_beneath(folder, content, labels, (60, 80)))


@pytest.mark.parametrize("dtype", ["uint8", ">u2", "<i4", ">i8", "uint64"])
def test_labels_of_every_integer_type_come_back(dtype):
    labels = np.arange(1000 * 700).reshape(1000, 700).astype(dtype)
    for content in (label_tiff.tiff_bytes(labels), tiff(labels, byteorder=">")):
        read = label_tiff.LabelTiff.opened(content, "a.tif").read()
        np.testing.assert_array_equal(read, labels)
        assert read.dtype == labels.dtype.newbyteorder("=")


@pytest.mark.parametrize("score", ["1" + "0" * 400, "1e999", "1" * 5000])
def test_a_score_that_is_too_large_is_one_sentence_in_both_formats(folder, score):
    examples = Path(__file__).parents[1] / "fixtures" / "sessions" / "format-1"
    for number, file in enumerate((folder / "session.json", examples / "points" / "session.json")):
        text = json.dumps(_with_score(json.loads(file.read_text("utf-8")))).replace('"SCORE"', score)
        other = folder.parent / str(number)
        shutil.copytree(file.parent, other)
        (other / "session.json").write_text(text, "utf-8")
        with pytest.raises(SessionError, match=r"score|iou|number|JSON"):
            open_session(other)


def _with_score(content):
    if content["version"] == 1:
        known = next(one for plane in content["planes"] for one in plane["objects"] if one["scores"])
        known["scores"]["iou"][0] = "SCORE"
    else:
        first_piece(content)["answer"]["iou"][0] = "SCORE"
    return content
