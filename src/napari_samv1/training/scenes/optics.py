"""From a clean picture to a photograph: blur, uneven light, dust, noise, quantisation."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from napari_samv1.training.scenes.textures import slope, smooth_noise

Picture = NDArray[np.float32]
"""(H, W) or (H, W, 3), about 0 to 1."""


def blurred(picture: Picture, sigma: float) -> Picture:
    """Blur a picture, each channel by itself."""
    if sigma < 0.2:
        return picture
    sigmas = (sigma, sigma) if picture.ndim == 2 else (sigma, sigma, 0)
    return np.asarray(ndimage.gaussian_filter(picture, sigmas, truncate=3), np.float32)


def haze(rng: np.random.Generator, picture: Picture) -> Picture:
    """Add light from outside the focal plane."""
    share = rng.uniform(0.1, 0.45)
    return (1 - share) * picture + share * blurred(picture, rng.uniform(4, 14))


def halo(rng: np.random.Generator, light: Picture, radius: float) -> Picture:
    """Add wide-field light: a share of the light of every point spreads far around it.

    The object's outline stays where it was; the glow beyond it is not part of the object.
    """
    share = rng.uniform(0.08, 0.55)
    reach = radius * np.exp(rng.uniform(np.log(0.2), np.log(2.5)))
    return (1 - share) * light + share * blurred(light, reach)


def uneven_light(rng: np.random.Generator, picture: Picture, strength: float) -> Picture:
    """Vignetting, a lamp at one side, a soft shadow: added or multiplied."""
    hw = (picture.shape[0], picture.shape[1])
    field = slope(rng, hw) if rng.random() < 0.6 else smooth_noise(rng, hw, max(hw) * rng.uniform(0.4, 1.2))
    field = field if picture.ndim == 2 else field[..., None]
    if rng.random() < 0.6:
        return np.asarray(picture * np.clip(1 + strength * field, 0.15, None), np.float32)
    return np.asarray(picture + 0.4 * strength * field, np.float32)


def dust(rng: np.random.Generator, hw: tuple[int, int]) -> Picture:
    """Small specks, scratches and fibres that are no objects, -1 to 1."""
    picture = np.zeros(hw, np.float32)
    for _ in range(int(rng.integers(1, 25))):
        y, x = int(rng.integers(0, hw[0])), int(rng.integers(0, hw[1]))
        reach = int(rng.integers(1, 3))
        picture[max(y - reach, 0) : y + reach, max(x - reach, 0) : x + reach] = rng.choice([-1, 1])
    for _ in range(int(rng.integers(0, 4))):
        start, angle, bend = rng.uniform(0, 1, 2) * hw, rng.uniform(0, 6.3), rng.normal(0, 0.004)
        steps = np.arange(rng.integers(20, 200))
        heading = angle + bend * steps
        y = (start[0] + np.cumsum(np.sin(heading))).astype(int)
        x = (start[1] + np.cumsum(np.cos(heading))).astype(int)
        inside = (y >= 0) & (x >= 0) & (y < hw[0]) & (x < hw[1])
        picture[y[inside], x[inside]] = rng.choice([-1, 1])
    return blurred(picture, rng.uniform(0.4, 1.2))


def noisy(rng: np.random.Generator, picture: Picture) -> Picture:
    """Photon noise, read noise, sometimes correlated or with hot pixels."""
    picture = np.clip(picture, 0, None)
    if rng.random() < 0.7:
        photons = 10 ** rng.uniform(1.2, 3.3)
        picture = (rng.standard_normal(picture.shape, np.float32) * np.sqrt(picture / photons)) + picture
    read = 10 ** rng.uniform(-3, -1.2)
    grain = rng.standard_normal(picture.shape, np.float32)
    if rng.random() < 0.2:
        grain = blurred(grain, 0.8) * 2.2
    picture = picture + read * grain
    if rng.random() < 0.1:
        hot = rng.random(picture.shape[:2]) < 2e-4
        picture[hot] = picture.max()
    return np.asarray(picture, np.float32)


def developed(rng: np.random.Generator, picture: Picture) -> NDArray[np.uint8]:
    """Gamma, exposure (dark, full or clipped) and eight bits: (H, W, 3)."""
    low, high = np.percentile(picture, [rng.uniform(0, 0.5), rng.uniform(99.3, 100)])
    picture = np.clip((picture - low) / max(high - low, 1e-3), 0, 1)
    picture = picture ** np.exp(rng.normal(0, 0.25))
    exposure = 1.0 if rng.random() < 0.6 else np.exp(rng.uniform(np.log(0.12), 0))
    floor = 0.0 if rng.random() < 0.6 else rng.uniform(0, 0.3)
    levels = np.round(255 * np.clip(floor + (1 - floor) * exposure * picture, 0, 1)).astype(np.uint8)
    shown = levels if levels.ndim == 3 else np.repeat(levels[..., None], 3, axis=2)
    if rng.random() > 0.1:
        return shown
    packed = io.BytesIO()
    Image.fromarray(shown).save(packed, "JPEG", quality=int(rng.integers(40, 90)))
    return np.asarray(Image.open(packed))


def photograph(
    rng: np.random.Generator, picture: Picture, *, blur: tuple[float, float] = (0.3, 1.8)
) -> NDArray[np.uint8]:
    """Apply all of the above, each with its probability."""
    picture = blurred(picture, rng.uniform(*blur))
    if rng.random() < 0.25:
        picture = haze(rng, picture)
    if rng.random() < 0.6:
        picture = uneven_light(rng, picture, rng.uniform(0.05, 0.55))
    if rng.random() < 0.2:
        specks = dust(rng, (picture.shape[0], picture.shape[1])) * rng.uniform(0.1, 0.6)
        picture = picture + (specks if picture.ndim == 2 else specks[..., None])
    return developed(rng, noisy(rng, picture))
