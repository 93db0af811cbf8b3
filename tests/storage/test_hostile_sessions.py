"""A session file is somebody's bytes: whatever it says, the answer is a session or one sentence."""

from __future__ import annotations

import copy
import json

import jsonschema
import pytest

from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.session import codec, format_1
from napari_samv1.storage.session.folder import open_session, save_session

DELETE = object()


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
    (("format",), "another", "no napari-samv1 session"),
    (("version",), 3, r"newer napari-samv1 \(format 3; this one reads up to 2\): update napari-samv1"),
    (("version",), True, "version"),
    (("version",), "1", "version"),
    (("extra",), 1, "extra"),
    (("images",), DELETE, "'images' is a required property"),
    (("saved",), "yesterday", "saved"),
    ((*PLANE, "shape_yx"), [60, 0], r"images\[0\]\.planes\[0\]\.shape_yx\[1\]: 0 is less than"),
    ((*PLANE, "shape_yx"), [50, 80], "lies outside of"),
    ((*PLANE, "order"), [7, 1], "order must name each piece's object once"),
    ((*PLANE, "order"), [7, 1, 40000, 15, 14, 13, 99], "order must name each piece's object once"),
    ((*PLANE, "source", "index"), [4, 0, None], "index must have a place"),
    ((*PLANE, "beneath"), "../../etc/passwd", "beneath"),
    ((*PLANE, "beneath"), "b" * 64, "cannot be read"),
    ((*IMAGE, "objects", 0, "id"), 7, "no two objects share an id"),
    ((*IMAGE, "objects", 0, "id"), 99, "an object that the image does not hold"),
    ((*IMAGE, "objects", 0, "parent"), 0, r"objects\[0\]\.parent"),
    ((*FIRST, "id"), 7, "no two pieces share an object"),
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
    ((*FIRST, "derived", "size_hw"), [2**31 - 1, 2**31 - 1], "lies outside of"),
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


@pytest.mark.parametrize(("path", "value", "sentence"), WRONG, ids=lambda value: str(value)[:40])
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
    with pytest.raises(SessionError, match=r"images\[0\]: no two planes share an index"):
        open_session(folder)


def test_a_shape_that_would_fill_the_memory_is_refused(folder, content):
    [plane] = content["images"][0]["planes"]
    plane["shape_yx"], plane["beneath"] = [2**31 - 1, 2**31 - 1], None
    corners = [[0, 0], [0, 2**31], [2**31, 2**31], [2**31, 0]]
    plane["pieces"][0]["drawn"][2] = {"kind": "ellipse", "vertices_yx": corners, "positive": True}
    (folder / "session.json").write_text(json.dumps(content), "utf-8")
    with pytest.raises(SessionError, match=r"pieces\[0\]: the ellipse covers more than"):
        open_session(folder)
