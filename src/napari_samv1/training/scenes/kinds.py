"""The kinds of scene: each a function from a random generator and a size to a `Scene`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from napari_samv1.training.scenes.layout import Layout, lay, room_for
from napari_samv1.training.scenes.optics import blurred, halo, photograph
from napari_samv1.training.scenes.render import background, bodies, per_label, shading, spots, stained
from napari_samv1.training.scenes.rods import rods
from napari_samv1.training.scenes.scene import GROUP, OBJECT, PART, Scene
from napari_samv1.training.scenes.shapes import ellipse
from napari_samv1.training.scenes.textures import Field, any_texture, relief, smooth_noise

HW = tuple[int, int]
Rng = np.random.Generator


def _log_uniform(rng: Rng, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _levels(hw: HW, **planes: NDArray[np.uint16]) -> NDArray[np.uint16]:
    levels = np.zeros((3, *hw), np.uint16)
    for name, plane in planes.items():
        levels[{"parts": PART, "objects": OBJECT, "groups": GROUP}[name]] = plane
    return levels


def _glaring(rng: Rng, layout: Layout) -> Field:
    """Factor of brightness: 1, but higher for a few objects that are dying or dividing."""
    times = np.ones(layout.count + 1, np.float32)
    few = rng.integers(0, layout.count + 1, rng.integers(1, 3 + layout.count // 12))
    times[few] = _log_uniform(rng, 1.5, 12)
    return np.asarray(times[layout.labels], np.float32)


def nuclei(rng: Rng, hw: HW) -> Scene:
    """Fluorescent nuclei on black: dim beside bright, clumped, blurred, few photons."""
    radius = _log_uniform(rng, 5.5, 40)
    outlines = [("ellipse",), ("ellipse",), ("ellipse", "lobed"), ("ellipse", "rod"), ("disc", "ellipse")]
    layout = lay(
        rng,
        hw,
        radius=radius,
        count=min(room_for(hw, radius, rng.uniform(0.05, 0.75)), 260),
        outlines=outlines[int(rng.integers(len(outlines)))],
        style=str(rng.choice(["scattered", "scattered", "clumps"])),
        spread=rng.uniform(0.05, 0.35),
        wobble=rng.uniform(0, 0.18),
        gap=rng.choice([0.0, 0.0, 0.08, 0.3]),
    )
    light = bodies(rng, layout, radius, spread=rng.uniform(0.05, 0.75), grain=rng.uniform(0, 0.4))
    if rng.random() < 0.3:
        light = light * _glaring(rng, layout)
    if rng.random() < 0.4:
        light = light * (1 + rng.uniform(0.2, 0.8) * spots(rng, layout, radius))
    if rng.random() < 0.4:
        lively = layout.labels > 0
        cytoplasm = blurred(lively.astype(np.float32), radius * rng.uniform(0.6, 1.5))
        light = light + rng.uniform(0.03, 0.3) * cytoplasm * (1 + 0.4 * any_texture(rng, hw, radius / 2))
    if rng.random() < 0.3:
        ghosts = lay(rng, hw, radius=radius * 1.2, count=room_for(hw, radius, 0.15))
        light = light + rng.uniform(0.05, 0.25) * blurred(bodies(rng, ghosts, radius), radius / 2)
    if rng.random() < 0.6:
        light = halo(rng, light, radius)
    light = light + rng.uniform(0, 0.25) + background(rng, hw, rng.uniform(0, 0.05))
    image = photograph(rng, light, blur=(0.3, max(0.8, min(4.0, radius / 3))))
    return Scene(image, _levels(hw, objects=layout.labels), "nuclei")


def crowd(rng: Rng, hw: HW) -> Scene:
    """Nuclei of a confluent layer, shoulder to shoulder, with bare patches between."""
    radius = _log_uniform(rng, 4.5, 26)
    layout = lay(
        rng,
        hw,
        radius=radius,
        count=min(room_for(hw, radius, rng.uniform(1, 4)), 1600),
        outlines=("ellipse",) if rng.random() < 0.7 else ("ellipse", "ellipse", "lobed"),
        style="scattered" if rng.random() < 0.8 else "clumps",
        spread=rng.uniform(0.06, 0.25),
        wobble=rng.uniform(0, 0.12),
        gap=rng.choice([0.0, 0.0, 0.06]),
        crossing=rng.uniform(0.02, 0.2),
    )
    labels = layout.labels
    if rng.random() < 0.6:
        patches = smooth_noise(rng, hw, radius * rng.uniform(2, 8))
        lonely = ndimage.mean(patches, labels, np.arange(layout.count + 1)) > rng.uniform(0, 1.5)
        lonely[0] = True
        labels = np.where(lonely[labels], 0, labels).astype(np.uint16)
    lively = labels > 0
    light = bodies(rng, layout, radius, spread=rng.uniform(0.05, 0.4), grain=rng.uniform(0, 0.3))
    if rng.random() < 0.5:
        light = light * (1 + rng.uniform(0.2, 0.9) * spots(rng, layout, radius))
    if rng.random() < 0.6:
        light = light * (1 - rng.uniform(0.1, 0.6) * np.clip((layout.depth - 0.75) / 0.25, 0, 1))
    if rng.random() < 0.3:
        light = light * _glaring(rng, layout)
    light = light * lively
    haze = blurred(lively.astype(np.float32), radius * rng.uniform(0.8, 3))
    glow = rng.uniform(0, 0.2) * haze
    if rng.random() < 0.5:
        light = halo(rng, light, radius)
    light = np.asarray(light + glow + rng.uniform(0, 0.15) + background(rng, hw, 0.03), np.float32)
    image = photograph(rng, light, blur=(0.3, max(0.8, min(3.0, radius / 3.5))))
    return Scene(image, _levels(hw, objects=labels), "crowd")


def coins(rng: Rng, hw: HW) -> Scene:
    """Embossed discs on a bright, uneven, grained table, with shadows."""
    radius = _log_uniform(rng, 11, 55)
    layout = lay(
        rng,
        hw,
        radius=radius,
        count=room_for(hw, radius, rng.uniform(0.2, 0.8)),
        outlines=("disc",) if rng.random() < 0.75 else ("disc", "ellipse", "polygon"),
        style=str(rng.choice(["rows", "rows", "scattered"])),
        spread=rng.uniform(0.03, 0.3),
        wobble=0.03,
        gap=rng.choice([0.0, 0.05, 0.15]),
        crossing=0.05,
    )
    inside = layout.labels > 0
    table_level = rng.uniform(0.1, 0.6)
    apart = rng.uniform(0.12, 0.5) * rng.choice([1, 1, 1, 1, -0.8])
    coin = per_label(rng, layout, max(table_level + apart, 0.08), rng.uniform(0.03, 0.2))
    struck = relief(rng, hw, max(radius * rng.uniform(0.1, 0.5), 3))
    coin = coin * (1 + rng.uniform(0.1, 0.5) * struck) + 0.1 * any_texture(rng, hw, 2.5)
    rim = inside & (layout.depth > rng.uniform(0.82, 0.92))
    slope_y, slope_x = np.gradient(blurred(np.where(inside, 1 - layout.depth**4, 0), 0.8))
    angle = rng.uniform(0, 2 * np.pi)
    lit = np.cos(angle) * slope_x + np.sin(angle) * slope_y
    coin = coin * (1 + rng.uniform(-0.3, 0.4) * rim) + rng.uniform(0.5, 3.0) * lit
    table = table_level + background(rng, hw, rng.uniform(0.01, 0.08))
    if rng.random() < 0.6:
        away = (int(3 * np.sin(angle) * rng.uniform(0, 2)), int(3 * np.cos(angle) * rng.uniform(0, 2)))
        shadow = blurred(np.roll(inside, away, (0, 1)).astype(np.float32), rng.uniform(1, 4))
        table = table * (1 - rng.uniform(0.1, 0.6) * shadow)
    return Scene(
        photograph(rng, np.where(inside, np.clip(coin, 0.02, 2), table), blur=(0.3, 1.3)),
        _levels(hw, objects=layout.labels),
        "coins",
    )


def particles(rng: Rng, hw: HW) -> Scene:
    """Grains, crystals, beads and rods, bright or dark, on any ground."""
    radius = _log_uniform(rng, 5, 60)
    shapes = ["polygon", "disc", "ellipse", "rod", "lobed"]
    chosen = tuple(rng.choice(shapes, int(rng.integers(1, 4)), replace=False))
    layout = lay(
        rng,
        hw,
        radius=radius,
        count=min(room_for(hw, radius, rng.uniform(0.1, 0.9)), 220),
        outlines=chosen,
        style=str(rng.choice(["scattered", "clumps", "rows"])),
        spread=rng.uniform(0.05, 0.5),
        wobble=rng.uniform(0, 0.2),
        crossing=0.3,
        on_top=rng.random() < 0.3,
    )
    ground = rng.uniform(0.1, 0.9) + background(rng, hw, rng.uniform(0, 0.12))
    body = bodies(rng, layout, radius, spread=rng.uniform(0.05, 0.3))
    contrast = rng.uniform(0.25, 0.9) * rng.choice([-1, 1, 1])
    picture = np.where(layout.labels > 0, ground.mean() + contrast * body, ground)
    if rng.random() < 0.4:
        edge = (layout.labels > 0) & (layout.depth > 0.85)
        picture = picture + rng.uniform(-0.4, 0.4) * edge
    picture = picture - picture.min()
    return Scene(
        photograph(rng, np.asarray(picture, np.float32)), _levels(hw, objects=layout.labels), "particles"
    )


def leaves(rng: Rng, hw: HW) -> Scene:
    """Coloured, textured shapes that cover one another in any order."""
    radius = _log_uniform(rng, 12, 60)
    layout = lay(
        rng,
        hw,
        radius=radius,
        count=min(room_for(hw, radius, rng.uniform(0.3, 1.6)), 120),
        outlines=("ellipse", "polygon", "disc", "rod", "lobed"),
        spread=rng.uniform(0.2, 0.6),
        wobble=rng.uniform(0, 0.2),
        crossing=1.0,
        on_top=True,
    )
    colours = rng.uniform(0, 1, (layout.count + 1, 3)).astype(np.float32)
    if rng.random() < 0.4:
        colours = np.repeat(colours[:, :1], 3, axis=1)
    picture = colours[layout.labels]
    for _ in range(3):
        chosen = rng.random(layout.count + 1) < 0.5
        texture = any_texture(rng, hw, _log_uniform(rng, 2, radius))
        picture = picture + (rng.uniform(0.03, 0.2) * texture * chosen[layout.labels])[..., None]
    picture = picture * shading(rng, layout.depth)[..., None]
    return Scene(photograph(rng, np.clip(picture, 0, None)), _levels(hw, objects=layout.labels), "leaves")


def _voronoi(rng: Rng, hw: HW, radius: float) -> tuple[NDArray[np.uint16], Field]:
    """Cells of a tissue, and the distance of each pixel to the nearest wall, in pixels."""
    count = max(2, room_for((hw[0] + 80, hw[1] + 80), radius * 0.95, 1.0))
    plane = np.array(hw) + 80
    seeds = rng.uniform(0, 1, (count, 2)) * plane - 40
    for _ in range(2):
        probe = rng.uniform(0, 1, (count * 12, 2)) * plane - 40
        owner = cKDTree(seeds).query(probe)[1]
        sums = np.stack([np.bincount(owner, probe[:, i], count) for i in (0, 1)], axis=1)
        hits = np.bincount(owner, minlength=count)[:, None]
        seeds = np.where(hits > 0, 0.4 * seeds + 0.6 * sums / np.maximum(hits, 1), seeds)
    y, x = np.mgrid[: hw[0], : hw[1]].astype(np.float32)
    bend = radius * rng.uniform(0, 0.25)
    y = y + bend * smooth_noise(rng, hw, radius)
    x = x + bend * smooth_noise(rng, hw, radius)
    near, owner = cKDTree(seeds).query(np.stack([y.ravel(), x.ravel()], axis=1), k=2)
    wall = ((near[:, 1] - near[:, 0]) / 2).reshape(hw).astype(np.float32)
    _, labels = np.unique(owner[:, 0], return_inverse=True)
    return (labels.reshape(hw) + 1).astype(np.uint16), wall


def tissue(rng: Rng, hw: HW) -> Scene:
    """Cells behind membranes, bright walls or dark; some with nuclei, some with gaps between them."""
    radius = _log_uniform(rng, 9, 55)
    cells, wall = _voronoi(rng, hw, radius)
    thick = max(0.7, radius * rng.uniform(0.03, 0.15))
    if rng.random() < 0.4:
        missing = rng.random(int(cells.max()) + 1) < rng.uniform(0, 0.4)
        missing[0] = True
        cells = np.where(missing[cells], 0, cells).astype(np.uint16)
    inside = cells > 0
    values = np.exp(rng.normal(0, rng.uniform(0.02, 0.35), int(cells.max()) + 1)).astype(np.float32)
    body = values[cells] * (1 + rng.uniform(0, 0.3) * any_texture(rng, hw, radius * rng.uniform(0.1, 0.8)))
    membrane = np.exp(-((wall / thick) ** 2)) * (1 + 0.3 * smooth_noise(rng, hw, radius))
    near_cell = ndimage.binary_dilation(inside, iterations=2)
    walls = rng.uniform(0.5, 1.5) * membrane * near_cell
    fill = rng.uniform(0.0, 0.5)
    picture = fill * body * inside + walls * rng.choice([1.0, 1.0, -0.7]) + rng.uniform(0.05, 0.4)
    parts = np.zeros(hw, np.uint16)
    two_dyes = rng.random() < 0.3
    channels: Field = np.asarray(picture, np.float32)
    if rng.random() < 0.5:
        depth = np.clip(1 - wall / (radius * rng.uniform(0.35, 0.6)), 0, 1)
        core = inside & (depth < rng.uniform(0.3, 0.6))
        core = ndimage.binary_opening(core, iterations=1)
        parts = np.where(core, cells, 0).astype(np.uint16)
        glow = rng.uniform(0.4, 1.2) * core * body
        if two_dyes:
            channels = np.stack([0.1 * picture, picture, 0.2 * picture + glow], axis=-1)
            channels = np.roll(channels, int(rng.integers(3)), axis=-1)
        else:
            channels = np.asarray(picture + rng.choice([-0.6, 1.0, 1.0]) * glow, np.float32)
    channels = np.asarray(channels - channels.min(), np.float32)
    image = photograph(rng, channels, blur=(0.3, max(0.7, thick * 0.7)))
    return Scene(image, _levels(hw, parts=parts, objects=cells), "tissue")


def sheet(rng: Rng, hw: HW) -> Scene:
    """A closed sheet of large or stretched cells, of which only the walls are visible, thin and bright."""
    radius = _log_uniform(rng, 10, 70)
    stretch = float(np.exp(rng.uniform(0, 0.6)))
    tall = (int(hw[0] / stretch) + 2, int(hw[1] * stretch) + 2) if rng.random() < 0.5 else hw
    cells, wall = _voronoi(rng, tall, radius)
    rows = np.linspace(0, tall[0] - 1, hw[0]).astype(int)
    columns = np.linspace(0, tall[1] - 1, hw[1]).astype(int)
    cells, wall = cells[np.ix_(rows, columns)], wall[np.ix_(rows, columns)]
    thick = rng.uniform(0.8, 3.0)
    bright = 1 + rng.uniform(0.1, 0.5) * smooth_noise(rng, hw, radius)
    walls = np.exp(-((wall / thick) ** 2)) * np.clip(bright, 0.15, None)
    if rng.random() < 0.3:
        edge = smooth_noise(rng, hw, max(hw) / 3) > rng.uniform(-0.8, 1.0)
        counts = np.maximum(np.bincount(cells.ravel()), 1)
        inside = (np.bincount(cells.ravel(), edge.ravel()) > 0.5 * counts)[cells]
        cells = np.where(inside, cells, 0).astype(np.uint16)
        walls = walls * ndimage.binary_dilation(inside, iterations=2)
    haze = blurred((cells > 0).astype(np.float32), 3) * rng.uniform(0, 0.3)
    grain = rng.uniform(0, 0.15) * smooth_noise(rng, hw, rng.uniform(1.5, 6)) * (cells > 0)
    picture = np.asarray(walls + haze + grain + rng.uniform(0.05, 0.3), np.float32)
    picture = picture - min(float(picture.min()), 0.0)
    if rng.random() < 0.15:
        picture = picture.max() - picture
    image = photograph(rng, np.asarray(picture, np.float32), blur=(0.3, max(0.6, thick * 0.6)))
    return Scene(image, _levels(hw, objects=cells), "sheet")


def _clumps(layout: Layout) -> NDArray[np.uint16]:
    """Groups of touching objects; single objects have none."""
    groups, count = ndimage.label(layout.labels > 0)
    members = np.zeros(count + 1, int)
    owners = np.unique(np.stack([groups.ravel(), layout.labels.ravel()]), axis=1)
    np.add.at(members, owners[0], 1)
    members[0] = 0
    return np.where(members[groups] > 1, groups, 0).astype(np.uint16)


def _cores(rng: Rng, cells: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Nuclei: one in most cells, two in a few, each one piece well inside."""
    cores = np.zeros(cells.shape, np.uint16)
    size, wobble = rng.uniform(0.4, 0.85), rng.uniform(0, 0.12)
    for label, bounds in enumerate(ndimage.find_objects(cells.astype(np.int32)), 1):
        if bounds is None:
            continue
        cell = np.pad(cells[bounds] == label, 1)
        room = ndimage.distance_transform_edt(cell)[1:-1, 1:-1]
        for _ in range(int(rng.choice([0, 1, 2], p=[0.08, 0.86, 0.06]))):
            rows, columns = np.nonzero(room >= rng.uniform(0.6, 1) * max(room.max(), 1))
            if not len(rows):
                continue
            pick = int(rng.integers(len(rows)))
            y, x = int(rows[pick]), int(columns[pick])
            depth = ellipse(rng, max(size * room.max(), 2.0), wobble)
            reach = depth.shape[0] // 2
            near = np.s_[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
            seen = depth[max(reach - y, 0) :, max(reach - x, 0) :][
                : room[near].shape[0], : room[near].shape[1]
            ]
            core, _ = ndimage.label((seen < 1) & (room[near] > 1.5))
            here = core == core[y - near[0].start, x - near[1].start]
            if core[y - near[0].start, x - near[1].start]:
                cores[bounds][near][here] = cores.max() + 1
                room[near][here] = 0
    return cores


def nested(rng: Rng, hw: HW) -> Scene:
    """Nucleus in cell in colony, in fluorescence or bright field."""
    radius = _log_uniform(rng, 14, 60)
    layout = lay(
        rng,
        hw,
        radius=radius,
        count=room_for(hw, radius, rng.uniform(0.2, 0.8)),
        outlines=("ellipse", "lobed") if rng.random() < 0.5 else ("ellipse",),
        style=str(rng.choice(["scattered", "clumps", "clumps"])),
        spread=rng.uniform(0.05, 0.3),
        wobble=rng.uniform(0.02, 0.25),
        crossing=0.35,
    )
    cell_level = rng.uniform(0.25, 0.7)
    parts = _cores(rng, layout.labels)
    whole = bodies(rng, layout, radius, spread=rng.uniform(0.05, 0.4))
    levels = np.exp(rng.normal(0, 0.25, int(parts.max()) + 1)).astype(np.float32)
    core = (parts > 0) * levels[parts] * (1 + 0.3 * any_texture(rng, hw, radius / 4))
    core = core * (1 + 0.5 * spots(rng, layout, radius * 0.5))
    ground = rng.uniform(0, 0.3) + background(rng, hw, rng.uniform(0, 0.06))
    if rng.random() < 0.35:
        dyes = [ground * 0.3, cell_level * whole, core]
        order = rng.permutation(3)
        picture = np.stack([dyes[i] for i in order], axis=-1) + 0.1 * (whole + core)[..., None]
    elif rng.random() < 0.6:
        picture = ground + cell_level * whole + rng.choice([-0.35, 0.8, 0.8]) * core
    else:
        rim = np.exp(-(((layout.depth - 0.93) / 0.07) ** 2)) * (layout.labels > 0)
        fringe = blurred((layout.labels > 0).astype(np.float32), 3) * (layout.labels == 0)
        picture = 0.6 + ground + rng.uniform(-0.3, 0.3) * whole + rng.uniform(-0.5, 0.5) * rim
        picture = picture + rng.uniform(0, 0.5) * fringe + rng.uniform(0.12, 0.4) * rng.choice([-1, 1]) * core
    picture = np.asarray(picture - min(float(picture.min()), 0.0), np.float32)
    return Scene(
        photograph(rng, picture, blur=(0.3, 1.8)),
        _levels(hw, parts=parts, objects=layout.labels, groups=_clumps(layout)),
        "nested",
    )


def histology(rng: Rng, hw: HW) -> Scene:
    """Dark blue nuclei in a pink or brown tissue on white."""
    radius = _log_uniform(rng, 5, 24)
    layout = lay(
        rng,
        hw,
        radius=radius,
        count=min(room_for(hw, radius, rng.uniform(0.1, 0.5)), 200),
        outlines=("ellipse", "rod") if rng.random() < 0.4 else ("ellipse",),
        style=str(rng.choice(["scattered", "clumps"])),
        spread=rng.uniform(0.1, 0.35),
        wobble=rng.uniform(0, 0.15),
        crossing=0.3,
    )
    blue = np.clip(rng.normal([0.65, 0.7, 0.29], 0.08), 0.05, 1)
    pink = np.clip(rng.normal([0.1, 0.9, 0.35], 0.12), 0.02, 1)
    brown = np.clip(rng.normal([0.27, 0.57, 0.78], 0.08), 0.05, 1)
    inside = layout.labels > 0
    chromatin = rng.uniform(0.5, 1.4) * bodies(rng, layout, radius, spread=0.35, grain=rng.uniform(0.1, 0.4))
    stroma = rng.uniform(0.1, 0.6) * np.clip(
        0.8 + 0.6 * any_texture(rng, hw, _log_uniform(rng, 6, 60)) + 0.3 * any_texture(rng, hw, 5), 0, 3
    )
    holes = smooth_noise(rng, hw, _log_uniform(rng, 30, 120)) > rng.uniform(0.8, 2.5)
    stroma = stroma * ~(holes & ~inside)
    counter = np.asarray(stroma * (1 - 0.5 * inside), np.float32)
    hues = [blue, pink if rng.random() < 0.6 else brown]
    amounts = [chromatin + 0.15 * counter, counter]
    if rng.random() < 0.3:
        marked = (rng.random(layout.count + 1) < 0.4)[layout.labels]
        amounts[0] = chromatin * ~marked
        amounts.append(np.asarray(chromatin * marked, np.float32))
        hues.append(brown)
    picture = stained(rng, amounts, hues, rng.uniform(0.85, 1.0, 3))
    if rng.random() < 0.3:
        picture = np.repeat(picture.mean(axis=-1, keepdims=True), 3, axis=-1)
    return Scene(photograph(rng, picture, blur=(0.3, 1.2)), _levels(hw, objects=layout.labels), "histology")


Kind = Callable[[Rng, HW], Scene]

KINDS: dict[str, Kind] = {
    "nuclei": nuclei,
    "coins": coins,
    "particles": particles,
    "leaves": leaves,
    "tissue": tissue,
    "nested": nested,
    "histology": histology,
    "crowd": crowd,
    "rods": rods,
    "sheet": sheet,
}

Shares = dict[str, float]

SHARES: Shares = {
    "nuclei": 0.40,
    "coins": 0.17,
    "particles": 0.10,
    "leaves": 0.03,
    "tissue": 0.09,
    "nested": 0.16,
    "histology": 0.05,
}
"""Share of each kind in a pool."""

LATE_SHARES: Shares = {
    "crowd": 0.22,
    "nuclei": 0.20,
    "coins": 0.08,
    "particles": 0.10,
    "leaves": 0.02,
    "tissue": 0.12,
    "nested": 0.21,
    "histology": 0.05,
}
"""Share of each kind in the pool of larger scenes, with more objects side by side or one in another."""

DENSE_SHARES: Shares = {
    "crowd": 0.16,
    "nuclei": 0.32,
    "coins": 0.05,
    "particles": 0.05,
    "leaves": 0.01,
    "tissue": 0.07,
    "sheet": 0.14,
    "nested": 0.04,
    "histology": 0.04,
    "rods": 0.12,
}
"""Share of each kind for the dense head, which learns to separate objects side by side."""


def draw_scene(rng: Rng, hw: HW, kind: str | None = None, shares: Shares = SHARES) -> Scene:
    """One scene of a kind, or of a kind drawn by its share."""
    if kind is None:
        parts = np.array([*shares.values()])
        kind = str(rng.choice([*shares], p=parts / parts.sum()))
    return KINDS[kind](rng, hw)
