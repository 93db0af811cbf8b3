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
from napari_samv1.storage.session.recorder import Annotated, Recorder
from PIL import Image

from napari_samv1.checkpoints.load import load_model
from napari_samv1.checkpoints.meta_keys import to_published
from napari_samv1.checkpoints.record import LoadedModel
from napari_samv1.checkpoints.registry import MODELS
from napari_samv1.cli import main
from napari_samv1.engine.jobs import run_each
from napari_samv1.engine.predictor import Predictor
from napari_samv1.images.hashing import hash_pixels
from napari_samv1.masks.clean import CleanUp
from napari_samv1.model import Sam, SamConfig
from napari_samv1.records.mask_crop import MaskCrop
from napari_samv1.records.preparation import Preparation
from napari_samv1.records.prompts import Prompts
from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.session.find_image import read_plane
from napari_samv1.storage.session.folder import open_session, save_session
from napari_samv1.storage.session.record import PlaneSource, SessionRecord
from napari_samv1.storage.session.replay import replay

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
    session: AnnotationSession

    def save(self, folder: Path) -> Path:
        return save_session(folder, self.record)


def annotate(
    model: LoadedModel, pixels: np.ndarray, intensity: tuple[float, float] | None, gamma: float = 1.0
) -> AnnotationSession:
    """What a person does: clicks and boxes on several objects, other candidates, thresholds, strokes."""
    hw = pixels.shape[:2]
    predictor = Predictor(model)
    embedding = predictor.embed(pixels, intensity=intensity, gamma=gamma)
    session = AnnotationSession(hw)
    rng = np.random.default_rng(3)
    prompts = {number: Prompts(rng.uniform(5, min(hw) - 5, (1, 2)), [1]) for number in range(1, 8)}
    prompts[8] = Prompts(rng.uniform(5, min(hw) - 5, (3, 2)), [1, 1, 0], [(10, 10, 50, 60.5)])
    for number, labels in ((9, [1, 0]), (10, [1, 0, 1]), (11, [0, 1])):
        prompts[number] = Prompts(rng.uniform(5, min(hw) - 5, (len(labels), 2)), labels)
    session.set_prompts(prompts)
    for result in run_each(predictor, session.jobs(embedding)):
        session.accept(result)
    for number in prompts:
        prediction = session.prediction(number)
        assert prediction is not None
        session.set_threshold(number, float(np.median(prediction.logits)))
    session.set_choice(2, 0)
    session.set_cleanup(3, CleanUp(fill_holes=True, drop_islands=10, smooth=1.0, grow=1))
    session.paint(4, MaskCrop((0, 0), np.ones((5, 5), dtype=bool)))
    session.paint(5, MaskCrop((3, 3), np.ones((60, 60), dtype=bool)), erase=True)
    session.paint(20, MaskCrop((1, 1), np.ones((2, 2), dtype=bool)))
    # a later click is decoded alone; where a candidate was chosen by hand, it corrects that
    session.set_choice(7, 3)
    for number, corrected in (
        (6, Prompts([(20, 20), (40, 41)], [1, 0])),
        (7, Prompts([*prompts[7].points_yx, (50, 30)], [1, 0])),
    ):
        prompts[number] = corrected
        session.set_prompts(prompts)
        for result in run_each(predictor, session.jobs(embedding)):
            session.accept(result)
    assert [session.objects[number].prompts.candidate for number in (6, 7)] == [None, 3]
    return session


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("case")
    image, weights = folder / "image.tif", weight_file(folder / "random.pth", 0)
    pixels = picture()
    tifffile.imwrite(image, pixels)
    model = load_model(weights, device="cpu", dtype="float32", preparation=PREPARATION)
    session = annotate(model, pixels, (100.0, 60000.0), 0.8)
    recorder = Recorder()
    recorder.use(model, str(weights))
    source = PlaneSource("image", HW, "uint16", pixels=hash_pixels(pixels), path=str(image))
    return Case(image, weights, recorder.record([Annotated(source, session)]), session)


def test_the_record_shares_the_objects_and_says_what_made_them(case):
    [plane] = case.record.planes
    assert all(plane.objects[number] is known for number, known in enumerate(case.session.objects.values()))
    assert plane.stack == case.session.stack
    made = plane.computations[1]
    assert (made.model, made.source) == ("random.pth", str(case.weights))
    assert made.environment.threads == torch.get_num_threads()
    assert made.environment.torch == torch.__version__
    # seven lone points went together; two of them were clicked again
    together = [known.batch for known in plane.objects if known.id in (1, 2, 3, 4, 5)]
    assert len(set(together)) == 5
    assert {size for _, size in together} == {7}
    assert case.session.objects[6].batch == (0, 1)
    assert 20 not in plane.computations


def test_a_saved_session_is_repeated_bit_for_bit(case, tmp_path):
    opened = open_session(case.save(tmp_path / "s"))
    results = {result.object_id: result for result in replay(opened)}
    assert set(results) == {*range(1, 12), 20}
    assert all(result.identical for result in results.values()), [str(one) for one in results.values()]
    assert all(result.note == "" for result in results.values())
    assert sum(result.area > 0 for result in results.values()) >= 6


def test_another_process_repeats_it_bit_for_bit(case, tmp_path):
    folder = case.save(tmp_path / "s")
    code = "import sys; from napari_samv1.cli import main; sys.exit(main(['replay', sys.argv[1]]))"
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True)
    assert done.stdout.endswith("12 of 12 masks identical\n"), done.stdout + done.stderr
    assert done.returncode == 0


def edited(folder: Path, edit) -> Path:
    file = folder / "session.json"
    content = json.loads(file.read_text("utf-8"))
    edit(content)
    file.write_text(json.dumps(content), "utf-8")
    return folder


def test_differing_pixels_are_counted_and_the_status_says_so(case, tmp_path, capsys):
    folder = case.save(tmp_path / "s")

    def add_a_pixel(content):
        [painted] = [one for one in content["planes"][0]["objects"] if one["id"] == 1]
        painted["derived"] = None  # as if nothing had been found

    area = case.session.objects[1].mask.area
    assert main(["replay", str(edited(folder, add_a_pixel))]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "11 of 12 masks identical"
    [line] = [line for line in lines if line.startswith("object 1:")]
    assert line == f"object 1: {area} pixels differ of 0"


def test_what_is_not_as_recorded_is_said_where_pixels_differ(case, tmp_path):
    folder = case.save(tmp_path / "s")

    def other(content):
        for one in content["computations"].values():
            one["environment"]["torch"] = "1.0"
        for one in content["planes"][0]["objects"]:
            one["settings"]["threshold"] += 0.5

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
    waiting = replace(plane.objects[0], answered=None)
    record = SessionRecord((replace(plane, objects=(waiting,), stack=(1,)),))
    [result] = replay(record)
    assert not result.identical
    assert str(result) == "object 1: not repeated. Its mask was still awaited when the session was saved."


def test_an_edited_object_is_repeated_with_what_was_asked(case, tmp_path):
    [plane] = case.record.planes
    moved = tuple(
        replace(known, prompts=Prompts([(1, 1)], [1])) if known.id == 1 else known for known in plane.objects
    )
    folder = save_session(tmp_path / "s", SessionRecord((replace(plane, objects=moved),)))
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


@pytest.mark.parametrize("path", ["https://example.org/a.tif", "\\\\server\\share\\a.tif", "//server/a.tif"])
def test_a_session_file_cannot_send_us_to_another_machine(path, case):
    source = PlaneSource("a", HW, "uint16", path=path)
    with pytest.raises(SessionError, match="not on this machine: give it with --image"):
        read_plane(source, HW)
    [plane] = case.record.planes
    made = {key: replace(value, source=path) for key, value in plane.computations.items()}
    with pytest.raises(Exception, match="give its file with --model"):
        list(replay(SessionRecord((replace(plane, computations=made),))))


def test_an_image_whose_place_is_unknown_or_gone_is_asked_for(tmp_path):
    with pytest.raises(SessionError, match="give it with --image"):
        read_plane(PlaneSource("a", HW, "uint16"), HW)
    with pytest.raises(SessionError, match="is not there any more"):
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
    with pytest.raises(SessionError, match="is not known here"):
        read_plane(PlaneSource("x", HW, "uint8", sample="other:__builtins__"), HW)


def test_an_opened_session_keeps_what_made_it_until_it_is_decoded_anew(case, tmp_path):
    opened = open_session(case.save(tmp_path / "s"))
    [plane] = opened.planes
    elsewhere = {
        key: replace(value, environment=replace(value.environment, torch="1.0", threads=64))
        for key, value in plane.computations.items()
    }
    opened = SessionRecord((replace(plane, computations=elsewhere),), "2020-01-01T00:00:00Z")

    recorder = Recorder()
    recorder.adopt(opened)
    session = AnnotationSession(plane.shape_yx)
    assert session.restore(plane.objects, plane.stack).region is not None
    assert session.pending == ()
    model = load_model(case.weights, device="cpu", dtype="float32", preparation=PREPARATION)
    recorder.use(model, "here")
    predictor = Predictor(model)
    embedding = predictor.embed(picture(), intensity=(100.0, 60000.0), gamma=0.8)
    session.redecode([2])
    for result in run_each(predictor, session.jobs(embedding)):
        session.accept(result)
    again = recorder.record([Annotated(plane.source, session)])
    assert again.created == "2020-01-01T00:00:00Z"
    computations = again.planes[0].computations
    assert computations[1].environment.threads == 64
    assert (computations[2].source, computations[2].environment.torch) == ("here", torch.__version__)
    session.clear()
    session.undo()
    assert (
        recorder.record([Annotated(plane.source, session)]).planes[0].computations[1].environment.threads
        == 64
    )


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


@pytest.mark.skipif(not MODELS["tiny"].is_on_disk, reason="the bundled model is not there yet")
def test_the_bundled_model_repeats_itself_bit_for_bit(tmp_path):
    from skimage.data import coins

    # seven whole coins; a whole sample is replayed from format 1
    pixels = coins()[90:185, 10:245]
    tifffile.imwrite(tmp_path / "coins.tif", pixels)
    model = load_model("tiny", device="cpu")
    session = annotate(model, pixels, None)
    recorder = Recorder()
    recorder.use(model, "tiny")
    path = str(tmp_path / "coins.tif")
    source = PlaneSource("coins", pixels.shape, "uint8", pixels=hash_pixels(pixels), path=path)
    folder = save_session(tmp_path / "s", recorder.record([Annotated(source, session)]))
    results = list(replay(open_session(folder)))
    assert [str(one) for one in results if not one.identical] == []
