"""Images for ``File > Open Sample``: they ship inside scikit-image's wheel or are computed; no downloads."""

from __future__ import annotations

from typing import Any

from skimage import data

from napari_samv1.images.slide import slide_levels

Sample = list[tuple[Any, dict[str, Any], str]]


def coins() -> Sample:
    """Greek coins from Pompeii, 303 x 384, grey. Brooklyn Museum; no known copyright restrictions."""
    return [(data.coins(), {"name": "coins"}, "image")]


def cell() -> Sample:
    """A cell floating in saline, quantitative phase image, 660 x 550, 0.107 um per pixel. CC0."""
    micrometre_per_pixel = 0.107
    return [(data.cell(), {"name": "cell", "scale": (micrometre_per_pixel,) * 2}, "image")]


def immunohistochemistry() -> Sample:
    """Colonic glands stained with DAB and haematoxylin, 512 x 512, RGB.

    CMMI; no known copyright restrictions.
    """
    return [(data.immunohistochemistry(), {"name": "stained tissue", "rgb": True}, "image")]


def retina() -> Sample:
    """The back of a human eye, 1411 x 1411, RGB. M. Häggström 2014; CC0."""
    return [(data.retina(), {"name": "retina", "rgb": True}, "image")]


def hubble() -> Sample:
    """Galaxies of the Hubble extreme deep field, 872 x 1000, RGB. NASA; public domain."""
    return [(data.hubble_deep_field(), {"name": "galaxies", "rgb": True}, "image")]


def slide() -> Sample:
    """Cells on a slide of 32,768 x 32,768 pixels, grey, with 6 levels, computed where it is read."""
    # dask, because napari reads more of other arrays than it shows
    import dask.array

    from_array: Any = dask.array.from_array
    levels = [
        from_array(level, chunks=512, name=f"napari-samv1-slide-{level.factor}", asarray=False)
        for level in slide_levels()
    ]
    return [(levels, {"name": "slide", "multiscale": True, "contrast_limits": (0, 255)}, "image")]
