"""Images of recorded planes, found again and compared."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_samv1.images.files import open_source
from napari_samv1.images.hashing import SAMPLE, hash_pixels
from napari_samv1.images.slide import slide_levels
from napari_samv1.images.source import ArraySource, ReadError, Source, as_source, shape_of
from napari_samv1.records.place import Plane
from napari_samv1.storage.errors import SessionError
from napari_samv1.storage.session.record import PlaneSource

# this plugin's entries in File > Open Sample, and their names in scikit-image; napari uses the latter
SAMPLES = {
    "coins": "coins",
    "cell": "cell",
    "tissue": "immunohistochemistry",
    "retina": "retina",
    "galaxies": "hubble_deep_field",
}
COMPUTED = "napari-samv1:slide"
TIFF = {".tif", ".tiff", ".lsm", ".ome"}


def read_plane(
    source: PlaneSource, shape_yx: tuple[int, int], file: str | os.PathLike[str] | None = None
) -> NDArray[Any]:
    """Read the recorded plane of ``shape_yx`` pixels, from ``file`` or else from the recorded path.

    Raises
    ------
    SessionError
        If the image is not found, cannot be read, or holds other pixels.
    """
    image, name = _image(source, file)
    plane = _plane_of(image, source, shape_yx, name)
    _check(plane, source, name)
    return plane


def _image(source: PlaneSource, file: str | os.PathLike[str] | None) -> tuple[NDArray[Any], str]:
    """The recorded image, or that of ``file``, and its name for messages."""
    if file is not None:
        return _read(Path(file)), str(file)
    if source.sample:
        return _sample(source.sample), f"the sample {source.sample}"
    return _recorded(source), source.path


def _check(plane: NDArray[Any], source: PlaneSource, name: str) -> None:
    """Refuse pixels that differ from the recorded ones."""
    if str(plane.dtype.newbyteorder("=")) != source.dtype:
        raise SessionError(f"{name} is {plane.dtype}, the annotated image was {source.dtype}")
    if source.pixels and hash_pixels(plane) != source.pixels:
        raise SessionError(f"{name} holds other pixels than the image that was annotated")


def open_slices(
    source: PlaneSource, shape_yx: tuple[int, int], file: str | os.PathLike[str] | None = None
) -> tuple[ArraySource, Plane]:
    """Open the whole image of the recorded plane, for the slices around the plane.

    Raises
    ------
    SessionError
        As ``read_plane`` does, and if only the plane is found.
    """
    if source.pixels.startswith(SAMPLE):
        opened, plane = open_plane(source, shape_yx, file)
    else:
        image, name = _image(source, file)
        sides = image.shape[:-1] if source.rgb else image.shape
        if sides != source.image_shape:
            raise SessionError(
                f"the model saw several slices, and {name} is {image.shape}: give all of the image, "
                f"{source.image_shape}, with --image"
            )
        plane = Plane(source.index)
        _check(image[plane.slices()][..., :3] if source.rgb else image[plane.slices()], source, name)
        opened = as_source(image, ndim=len(source.image_shape))
    if not isinstance(opened, ArraySource):
        raise SessionError(f"image {source.name} has no slices to project")
    return opened, plane


def open_plane(
    source: PlaneSource, shape_yx: tuple[int, int], file: str | os.PathLike[str] | None = None
) -> tuple[Source, Plane]:
    """Open the recorded plane; it is read and compared, unless it is too large for that.

    Raises
    ------
    SessionError
        As ``read_plane`` does.
    """
    if not source.pixels.startswith(SAMPLE):
        return as_source(read_plane(source, shape_yx, file)), Plane()
    is_computed = file is None and source.sample == COMPUTED
    path = Path(source.sample) if is_computed else local_file(source) if file is None else Path(file)
    try:
        opened = as_source(slide_levels()) if is_computed else open_source(path)
        sample = opened.identity.sample
    except ReadError as error:
        raise SessionError(str(error)) from error
    if shape_of(opened) != source.image_shape:
        raise SessionError(f"{path} is {shape_of(opened)}, the annotated image was {source.image_shape}")
    if f"{SAMPLE}{sample}" != source.pixels:
        raise SessionError(f"{path} holds other pixels than the image that was annotated")
    return opened, Plane(source.index)


def local_sample(source: PlaneSource) -> tuple[str, str]:
    """Plugin and key of an image's sample, which is napari's or this plugin's.

    Raises
    ------
    SessionError
        If it is another plugin's, whose code a session file from elsewhere must not run.
    """
    plugin, _, key = source.sample.partition(":")
    if source.sample == COMPUTED or (plugin == "napari-samv1" and key in SAMPLES) or plugin == "napari":
        return plugin, key
    raise SessionError(f"the sample {source.sample} is of another plugin: open it yourself")


def local_file(source: PlaneSource) -> Path:
    """Path that an image was opened from.

    Raises
    ------
    SessionError
        If it is not on this machine.
    """
    path = source.path
    if not path:
        raise SessionError(f"the session does not record where image {source.name} came from")
    # a session file from elsewhere must not make this machine connect to others
    if "://" in path or path.startswith(("\\\\", "//")):
        raise SessionError(f"the image was opened from {path}, which is not on this machine")
    file = Path(path)
    if not file.exists():
        raise SessionError(f"image {path} no longer exists")
    # reading a device or pipe may never end
    if not file.is_file() and not file.is_dir():
        raise SessionError(f"{path} is not an image")
    # napari would run it
    if file.suffix.lower() == ".py":
        raise SessionError(f"{path} is not an image")
    return file


def _recorded(source: PlaneSource) -> NDArray[Any]:
    try:
        file = local_file(source)
    except SessionError as error:
        raise SessionError(f"{error}: give it with --image") from error
    return _read(file)


def _read(file: Path) -> NDArray[Any]:
    try:
        if file.suffix.lower() == ".npy":
            return np.asarray(np.load(file, allow_pickle=False))
        if file.suffix.lower() in TIFF:
            import tifffile

            return np.asarray(tifffile.imread(file))
        from skimage.io import imread

        return np.asarray(imread(file))
    except FileNotFoundError as error:
        raise SessionError(f"there is no image {file}") from error
    # readers raise errors of all kinds
    except Exception as error:
        raise SessionError(f"{file} cannot be read as an image: {error or type(error).__name__}") from error


def _sample(sample: str) -> NDArray[Any]:
    from skimage import data

    plugin, _, key = sample.partition(":")
    name = SAMPLES.get(key) if plugin == "napari-samv1" else key if plugin == "napari" else None
    if name is None or name not in data.__all__:
        raise SessionError(f"there is no sample {sample} here: give the image with --image")
    try:
        return np.asarray(getattr(data, name)())
    # not all samples ship with scikit-image, and without pooch or a network they cannot be fetched
    except Exception as error:
        raise SessionError(
            f"the sample {sample} cannot be loaded ({error}): give the image with --image"
        ) from error


def _plane_of(image: NDArray[Any], source: PlaneSource, shape_yx: tuple[int, int], name: str) -> NDArray[Any]:
    """The recorded plane of an image, or the image itself if it is that plane alone."""
    sides = image.shape[:-1] if source.rgb else image.shape
    if sides == source.image_shape and source.level == 0:
        plane = image[tuple(slice(None) if place is None else place for place in source.index)]
    elif sides == shape_yx:
        plane = image
    elif source.level:
        raise SessionError(
            f"level {source.level} of a multiscale image was annotated: give the {shape_yx[0]} x "
            f"{shape_yx[1]} pixels of that level with --image"
        )
    else:
        raise SessionError(f"{name} is {image.shape}, the annotated image was {source.image_shape}")
    return plane[..., :3] if source.rgb else plane
