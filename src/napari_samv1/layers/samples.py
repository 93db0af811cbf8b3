"""Real images for ``File > Open Sample``: they ship inside scikit-image's wheel, so nothing is downloaded."""

from __future__ import annotations

from typing import Any

from skimage import data

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
