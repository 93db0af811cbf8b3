"""From a person's session to the same masks again, through files and in another process."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from locked import lock
from napari_samv1.annotation import edits
from napari_samv1.annotation.pieces import Answer
from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.checkpoints.load import load_model
from napari_samv1.checkpoints.meta_keys import to_published
from napari_samv1.checkpoints.record import LoadedModel
from napari_samv1.cli import main
from napari_samv1.engine.jobs import run_each
from napari_samv1.engine.predictor import Predictor
from napari_samv1.images.hashing import hash_pixels
from napari_samv1.masks.clean import CleanUp
from napari_samv1.masks.drawn import prompts_of
from napari_samv1.model import Sam, SamConfig
from napari_samv1.records.computation import Computation, Environment
from napari_samv1.records.drawn import DrawnShape, drawn_box
from napari_samv1.records.mask_crop import EMPTY, MaskCrop
from napari_samv1.records.place import Plane
from napari_samv1.records.preparation import Preparation
from napari_samv1.records.prompts import Prompts
from napari_samv1.records.settings import ObjectSettings
from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.session.find_image import read_plane
from napari_samv1.storage.session.folder import open_session, save_session
from napari_samv1.storage.session.record import ImageRecord, PlaneRecord, PlaneSource, SessionRecord
from napari_samv1.storage.session.replay import replay
from one_plane import OnePlane

from .conftest import assert_same_record, drawn_rows, session_of

CONFIG = SamConfig(width=16, depth=4, heads=2, patch=8, grid=8, window=3, channels=32, decoder_mlp=32)
PREPARATION = Preparation(side=64)
HW = (90, 130)


def weight_file(path: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    network = Sam(CONFIG)
    for name, parameter in network.named_parameters():
        if "position" in name:
            torch.nn.init.normal_(parameter, 0, 0.3)
    torch.save(to_published(network.state_dict(), CONFIG), path)
    return path


def picture(seed: int = 0) -> np.ndarray:
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 60000, (17, 24)).astype(np.float32))
    smooth = np.array(coarse.resize(HW[::-1], Image.Resampling.BICUBIC))
    return smooth.clip(0, 65535).astype(np.uint16)


@dataclass
class Case:
    """An image and a model on the disk, and a session on them."""

    image: Path
    weights: Path
    record: SessionRecord
    session: OnePlane

    def save(self, folder: Path) -> Path:
        return save_session(folder, self.record)


def made_by(model: LoadedModel, source: str) -> Computation:
    return Computation(model.name, source, Environment.now())


def record_of(session: OnePlane, source: PlaneSource) -> SessionRecord:
    """What is saved of a document with one plane."""
    pieces = tuple(session.objects.values())
    plane = PlaneRecord(source, Plane(source.index).shape_in(source.image_shape), pieces, session.stack)
    return SessionRecord((ImageRecord(tuple(session.document.objects.values()), (plane,)),))


def draw(session: OnePlane, drawn: dict[int, tuple[DrawnShape, ...]], hw: tuple[int, int]) -> None:
    pointed = {number: (prompts_of(rows, hw), rows) for number, rows in drawn.items()}
    session.document.apply(edits.point(session.document, session.plane, pointed))


def decode(session: OnePlane, predictor: Predictor, embedding: object) -> None:
    for result in run_each(predictor, session.jobs(embedding)):
        session.accept(result)


def annotate(
    model: LoadedModel,
    source: str,
    pixels: np.ndarray,
    intensity: tuple[float, float] | None,
    gamma: float = 1.0,
) -> OnePlane:
    """What a person does: clicks and shapes on several objects, other candidates, thresholds, strokes."""
    hw = pixels.shape[:2]
    predictor = Predictor(model)
    embedding = predictor.embed(pixels, intensity=intensity, gamma=gamma)
    session = OnePlane()
    session.decoding.made_by = made_by(model, source)
    rng = np.random.default_rng(3)
    prompts = {number: Prompts(rng.uniform(5, min(hw) - 5, (1, 2)), [1]) for number in range(1, 8)}
    prompts[8] = Prompts(rng.uniform(5, min(hw) - 5, (3, 2)), [1, 1, 0], [(10, 10, 50, 60.5)])
    for number, labels in ((9, [1, 0]), (10, [1, 0, 1]), (11, [0, 1])):
        prompts[number] = Prompts(rng.uniform(5, min(hw) - 5, (len(labels), 2)), labels)
    drawn = {number: drawn_rows(own) for number, own in prompts.items()}
    drawn[12] = (DrawnShape("polygon", np.array([(10.0, 15), (60, 20), (40, 70), (30, 80), (12, 40)])),)
    drawn[13] = drawn_box((5, 5, 30, 40)), DrawnShape("path", np.array([(8.0, 8), (20, 30), (25, 12)]))
    draw(session, drawn, hw)
    decode(session, predictor, embedding)
    for number in drawn:
        prediction = session.decoding.prediction(session.get(number))
        assert prediction is not None
        session.set(number, threshold=float(np.median(prediction.logits)))
    session.set(2, choice=0)
    session.set(3, cleanup=CleanUp(fill_holes=True, drop_islands=10, smooth=1.0, grow=1))
    session.set(1, clicked_piece=True)
    session.paint(4, MaskCrop((0, 0), np.ones((5, 5), dtype=bool)))
    session.paint(5, MaskCrop((3, 3), np.ones((60, 60), dtype=bool)), erase=True)
    session.paint(20, MaskCrop((1, 1), np.ones((2, 2), dtype=bool)))
    # a later click is decoded alone; where a candidate was chosen by hand, it corrects that
    session.set(7, choice=3)
    for number, corrected in (
        (6, Prompts([(20, 20), (40, 41)], [1, 0])),
        (7, Prompts([*prompts[7].points_yx, (50, 30)], [1, 0])),
    ):
        draw(session, {number: drawn_rows(corrected)}, hw)
        decode(session, predictor, embedding)
    # a mask with strokes is refined by the network
    session.paint(11, MaskCrop((40, 50), np.ones((20, 20), dtype=bool)))
    session.refine(11)
    decode(session, predictor, embedding)
    assert session.pending == ()
    assert [session.objects[number].prompts.candidate for number in (6, 7)] == [None, 3]
    return session


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("case")
    image, weights = folder / "image.tif", weight_file(folder / "random.pth", 0)
    pixels = picture()
    tifffile.imwrite(image, pixels)
    model = load_model(weights, device="cpu", dtype="float32", preparation=PREPARATION)
    session = annotate(model, str(weights), pixels, (100.0, 60000.0), 0.8)
    source = PlaneSource("image", HW, "uint16", pixels=hash_pixels(pixels), path=str(image))
    return Case(image, weights, record_of(session, source), session)


def test_every_piece_says_what_made_it(case):
    [plane] = case.record.planes
    pieces = {piece.id: piece for piece in plane.pieces}
    made = pieces[1].answer.made_by
    assert (made.model, made.source) == ("random.pth", str(case.weights))
    assert made.environment.threads == torch.get_num_threads()
    assert made.environment.torch == torch.__version__
    # seven lone points went together; two of them were clicked again
    together = [pieces[number].answer.batch for number in (1, 2, 3, 4, 5)]
    assert len(set(together)) == 5
    assert {size for _, size in together} == {7}
    assert pieces[6].answer.batch == (0, 1)
    assert pieces[20].answer is None


def test_a_saved_session_is_repeated_bit_for_bit(case, tmp_path):
    opened = open_session(case.save(tmp_path / "s"))
    results = {result.object_id: result for result in replay(opened)}
    assert set(results) == {*range(1, 14), 20}
    assert all(result.identical for result in results.values()), [str(one) for one in results.values()]
    assert all(result.note == "" for result in results.values())
    assert sum(result.area > 0 for result in results.values()) >= 6


def test_another_process_repeats_it_bit_for_bit(case, tmp_path):
    folder = case.save(tmp_path / "s")
    code = "import sys; from napari_samv1.cli import main; sys.exit(main(['replay', sys.argv[1]]))"
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True)
    assert done.stdout.endswith("14 of 14 masks identical\n"), done.stdout + done.stderr
    assert done.returncode == 0


def test_answers_of_a_decoder_in_float16_are_repeated_in_it_bit_for_bit(case, tmp_path):
    pixels = tifffile.imread(case.image)
    model = load_model(case.weights, device="cpu", dtype="float32", preparation=PREPARATION)
    halved = annotate(model.decoding_in("float16"), str(case.weights), pixels, (100.0, 60000.0), 0.8)
    [plane] = case.record.planes
    folder = save_session(tmp_path / "s", record_of(halved, plane.source))
    [written] = json.loads((folder / "session.json").read_text("utf-8"))["computations"].values()
    assert written["decoder"] == "float16"
    opened = open_session(folder)
    results = list(replay(opened))
    assert all(result.identical for result in results), [str(one) for one in results]
    assert all(result.note == "" for result in results)
    # and it is the decoder that does it
    as_exact = [
        replace(
            piece,
            answer=None
            if piece.answer is None
            else replace(piece.answer, made_by=piece.answer.made_by.decoding_in("float32")),
        )
        for piece in opened.planes[0].pieces
    ]
    others = list(replay(session_of(replace(opened.planes[0], pieces=tuple(as_exact)))))
    assert any(not result.identical for result in others)


def test_where_the_decoder_is_not_named_it_was_float32(case, tmp_path):
    folder = case.save(tmp_path / "s")
    [written] = json.loads((folder / "session.json").read_text("utf-8"))["computations"].values()
    assert set(written) == {"model", "source", "environment"}
    [plane] = open_session(folder).planes
    assert {piece.answer.made_by.decoder for piece in plane.pieces if piece.answer} == {"float32"}


def edited(folder: Path, edit) -> Path:
    file = folder / "session.json"
    content = json.loads(file.read_text("utf-8"))
    edit(content)
    file.write_text(json.dumps(content), "utf-8")
    return folder


def pieces_in(content):
    return content["images"][0]["planes"][0]["pieces"]


def test_differing_pixels_are_counted_and_the_status_says_so(case, tmp_path, capsys):
    folder = case.save(tmp_path / "s")

    def without_pixels(content):
        [found] = [one for one in pieces_in(content) if one["id"] == 1]
        found["derived"] = None  # as if nothing had been found

    area = case.session.objects[1].mask.area
    assert main(["replay", str(edited(folder, without_pixels))]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "13 of 14 masks identical"
    [line] = [line for line in lines if line.startswith("object 1:")]
    assert line == f"object 1: {area} pixels differ of 0"


def test_what_is_not_as_recorded_is_said_where_pixels_differ(case, tmp_path):
    folder = case.save(tmp_path / "s")

    def other(content):
        for one in content["computations"].values():
            one["environment"]["torch"] = "1.0"
        for one in pieces_in(content):
            if one["answer"] is not None:
                settings = one["answer"].setdefault("settings", dict(one["settings"]))
                settings["threshold"] += 0.5

    results = list(replay(open_session(edited(folder, other))))
    notes = {result.note for result in results if result.differing}
    assert notes == {f"Not as recorded: torch 1.0 then, {torch.__version__} now."}


def test_replay_runs_on_the_recorded_threads_and_puts_them_back(case, tmp_path):
    before = torch.get_num_threads()
    folder = case.save(tmp_path / "s")

    def one_thread(content):
        for one in content["computations"].values():
            one["environment"]["threads"] = 1

    during = []
    for _ in replay(open_session(edited(folder, one_thread))):
        during.append(torch.get_num_threads())
    assert 1 in during
    assert torch.get_num_threads() == before


def test_a_mask_that_was_awaited_is_not_called_identical(case):
    [plane] = case.record.planes
    waiting = replace(plane.pieces[0], answer=None)
    [result] = replay(session_of(replace(plane, pieces=(waiting,), order=(1,))))
    assert not result.identical
    assert str(result) == "object 1: not repeated. Its mask was not yet computed when the session was saved."


def test_a_painted_mask_that_awaits_its_refinement_is_not_called_different(case, tmp_path):
    [plane] = case.record.planes
    [known] = [piece for piece in plane.pieces if piece.id == 1]
    nothing = known.answered(replace(known.answer, mask=EMPTY))
    painted = nothing.with_stroke(MaskCrop((1, 1), np.ones((9, 9), dtype=bool)), erase=False)
    refined = painted.refining()
    assert refined.pending
    assert refined.answer is not None
    folder = save_session(tmp_path / "s", session_of(replace(plane, pieces=(refined,), order=(1,))))
    [piece] = open_session(folder).planes[0].pieces
    assert piece.pending
    [result] = replay(open_session(folder))
    assert str(result) == "object 1: not repeated. Its mask was not yet computed when the session was saved."


def test_decoding_that_failed_keeps_the_mask_before_it_and_is_not_repeated(case, tmp_path):
    [plane] = case.record.planes
    [known] = [piece for piece in plane.pieces if piece.id == 1]
    failed = known.failed(Answer(known.answer.request, known.settings), "out of memory")
    record = session_of(replace(plane, pieces=(failed,), order=(1,)))
    folder = save_session(tmp_path / "s", record)
    assert_same_record(open_session(folder), record)
    [piece] = open_session(folder).planes[0].pieces
    assert not piece.pending
    assert piece.mask == known.mask
    [result] = replay(open_session(folder))
    assert not result.identical


def test_an_edited_object_is_repeated_with_what_was_asked(case, tmp_path):
    [plane] = case.record.planes
    moved = tuple(
        known.with_prompts(Prompts([(1, 1)], [1])) if known.id == 1 else known for known in plane.pieces
    )
    # settings of the next mask do not count either
    assert moved[1].settings.threshold != 9
    moved = (moved[0], replace(moved[1], settings=ObjectSettings(threshold=9)), *moved[2:])
    folder = save_session(tmp_path / "s", session_of(replace(plane, pieces=moved)))
    assert [piece.id for piece in open_session(folder).planes[0].pieces if piece.pending] == [1, 2]
    assert all(result.identical for result in replay(open_session(folder)))


def test_another_image_is_refused(case, tmp_path, capsys):
    folder = case.save(tmp_path / "s")
    other = tmp_path / "other.tif"
    tifffile.imwrite(other, picture(1))
    assert main(["replay", str(folder), "--image", str(other)]) == 1
    assert "holds other pixels than the image that was annotated" in capsys.readouterr().err
    tifffile.imwrite(other, picture(0)[:50])
    assert main(["replay", str(folder), "--image", str(other)]) == 1
    assert "the annotated image was (90, 130)" in capsys.readouterr().err
    tifffile.imwrite(other, picture(0).astype(np.int32))
    assert main(["replay", str(folder), "--image", str(other)]) == 1
    assert "is int32, the annotated image was uint16" in capsys.readouterr().err
    assert main(["replay", str(folder), "--image", str(tmp_path / "nowhere.tif")]) == 1
    assert "there is no image" in capsys.readouterr().err
    # the same pixels from elsewhere are the image
    np.save(tmp_path / "same.npy", picture(0).astype(">u2"))
    assert main(["replay", str(folder), "--image", str(tmp_path / "same.npy")]) == 0


def test_other_weights_are_refused(case, tmp_path, capsys):
    folder = case.save(tmp_path / "s")
    other = weight_file(tmp_path / "other.pth", 1)
    assert main(["replay", str(folder), "--model", str(other)]) == 1
    assert "holds other weights than random.pth had (sha256 " in capsys.readouterr().err


def test_no_session_is_one_sentence(tmp_path, capsys):
    assert main(["replay", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("napari-samv1: there is no session in ")


def test_a_session_in_a_folder_that_cannot_be_read_is_one_sentence(tmp_path, monkeypatch, capsys):
    lock(tmp_path, monkeypatch)
    assert main(["replay", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"napari-samv1: {tmp_path} cannot be read: Permission denied\n"


def with_computation(plane, change):
    """A plane whose answers were computed in another way."""
    pieces = [
        piece
        if piece.answer is None
        else replace(piece, answer=replace(piece.answer, made_by=change(piece.answer.made_by)))
        for piece in plane.pieces
    ]
    return replace(plane, pieces=tuple(pieces))


@pytest.mark.parametrize("path", ["https://example.org/a.tif", "\\\\server\\share\\a.tif", "//server/a.tif"])
def test_a_session_file_cannot_send_us_to_another_machine(path, case):
    source = PlaneSource("a", HW, "uint16", path=path)
    with pytest.raises(SessionError, match="not on this machine: give it with --image"):
        read_plane(source, HW)
    [plane] = case.record.planes
    with pytest.raises(CheckpointError, match="give its file with --model"):
        list(replay(session_of(with_computation(plane, lambda made: replace(made, source=path)))))


def test_an_image_whose_place_is_unknown_or_gone_is_asked_for(tmp_path):
    with pytest.raises(SessionError, match="give it with --image"):
        read_plane(PlaneSource("a", HW, "uint16"), HW)
    with pytest.raises(SessionError, match="no longer exists"):
        read_plane(PlaneSource("a", HW, "uint16", path=str(tmp_path / "gone.tif")), HW)


def test_a_plane_of_a_stack_and_a_coarser_level_are_found(tmp_path):
    stack = np.stack([picture(seed) for seed in range(3)])
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack")
    place = PlaneSource(
        "a",
        stack.shape,
        "uint16",
        index=(1, None, None),
        pixels=hash_pixels(stack[1]),
        path=str(tmp_path / "stack.tif"),
    )
    np.testing.assert_array_equal(read_plane(place, HW), stack[1])
    level = replace(place, level=1, factors_yx=(2.0, 2.0))
    with pytest.raises(SessionError, match="level 1 of a multiscale image"):
        read_plane(level, HW)
    tifffile.imwrite(tmp_path / "level.tif", stack[1])
    np.testing.assert_array_equal(read_plane(level, HW, tmp_path / "level.tif"), stack[1])


def test_samples_are_had_from_scikit_image():
    from skimage.data import coins

    pixels = coins()
    for sample in ("napari-samv1:coins", "napari:coins"):
        found = read_plane(
            PlaneSource("coins", pixels.shape, "uint8", pixels=hash_pixels(pixels), sample=sample),
            pixels.shape,
        )
        np.testing.assert_array_equal(found, pixels)
    with pytest.raises(SessionError, match="there is no sample"):
        read_plane(PlaneSource("x", HW, "uint8", sample="other:__builtins__"), HW)


def test_an_opened_session_keeps_what_made_it_until_it_is_decoded_anew(case, tmp_path):
    opened = open_session(case.save(tmp_path / "s"))
    [image], [plane] = opened.images, opened.planes

    def elsewhere(made):
        return replace(made, environment=replace(made.environment, torch="1.0", threads=64))

    plane = with_computation(plane, elsewhere)
    session = OnePlane()
    session.document.restore(image.objects, plane.pieces, {session.plane: plane.order})
    session.view = session.document.on(session.plane)
    assert session.pending == ()
    assert session.stack == plane.order
    model = load_model(case.weights, device="cpu", dtype="float32", preparation=PREPARATION)
    session.decoding.made_by = made_by(model, "here")
    predictor = Predictor(model)
    embedding = predictor.embed(picture(), intensity=(100.0, 60000.0), gamma=0.8)
    session.document.ask_again([(session.plane, 2)])
    decode(session, predictor, embedding)
    folder = save_session(tmp_path / "again", record_of(session, plane.source))
    [again] = open_session(folder).planes
    computations = {piece.id: piece.answer.made_by for piece in again.pieces if piece.answer is not None}
    assert computations[1].environment.threads == 64
    assert (computations[2].source, computations[2].environment.torch) == ("here", torch.__version__)
    session.clear(1)
    session.undo()
    assert session.get(1).answer.made_by.environment.threads == 64


@pytest.mark.parametrize("dtype", ["uint8", ">u2", "float32", "bool"])
def test_a_hash_is_of_values_and_not_of_their_layout(dtype):
    pixels = (np.arange(600).reshape(20, 30) % 251).astype(dtype)
    same = np.asfortranarray(pixels).astype(pixels.dtype.newbyteorder("<"))
    assert hash_pixels(same) == hash_pixels(pixels)
    changed = pixels.copy()
    changed[7, 7] = not changed[7, 7]
    assert hash_pixels(changed) != hash_pixels(pixels)
    assert hash_pixels(pixels.reshape(30, 20)) != hash_pixels(pixels)


def test_a_large_plane_is_sampled_and_says_so(monkeypatch):
    from napari_samv1.images import hashing as module

    monkeypatch.setattr(module, "WHOLE_BYTES", 100)
    monkeypatch.setattr(module, "SAMPLED_ROWS", 4)
    assert hash_pixels(np.zeros((100, 10), np.uint8)).startswith("xxh3-128-rows4:")
    assert hash_pixels(np.zeros((2, 10), np.uint8)).startswith("xxh3-128:")


def test_the_bundled_model_repeats_itself_bit_for_bit(tmp_path):
    from skimage.data import coins

    # seven whole coins; a whole sample is replayed from format 1
    pixels = coins()[90:185, 10:245]
    tifffile.imwrite(tmp_path / "coins.tif", pixels)
    model = load_model("tiny", device="cpu")
    session = annotate(model, "tiny", pixels, None)
    path = str(tmp_path / "coins.tif")
    source = PlaneSource("coins", pixels.shape, "uint8", pixels=hash_pixels(pixels), path=path)
    folder = save_session(tmp_path / "s", record_of(session, source))
    results = list(replay(open_session(folder)))
    assert [str(one) for one in results if not one.identical] == []
