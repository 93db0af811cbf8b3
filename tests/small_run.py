"""A recipe of six steps for a network of a few thousand weights."""

from dataclasses import dataclass

import numpy as np

from napari_samv1.model import SamConfig
from napari_samv1.training.recipe import Grids, Recipe
from napari_samv1.training.scenes.kinds import draw_scene

SMALL = SamConfig(
    width=16,
    depth=2,
    heads=2,
    stages=1,
    patch=8,
    grid=6,
    window=3,
    channels=32,
    decoder_heads=4,
    decoder_mlp=32,
)
RECIPE = Recipe(
    workers=1,
    grids=((6, 6),),
    large_grids=((6, 6),),
    tokens=72,
    dense_tokens=72,
    dense_steps=2,
    where_steps=1,
    prompt_steps=3,
    corrected=1.0,
)


@dataclass(frozen=True)
class SmallRecipe(Recipe):
    """The recipe, on so few scenes and tokens that a step takes a moment."""

    scenes: int = 4
    side: int = 96
    late_scenes: int = 4
    late_side: int = 128
    shard: int = 4
    grids: Grids = ((8, 8),)
    large_grids: Grids = ((8, 8),)
    tokens: int = 64
    dense_tokens: int = 64


class Scenes:
    """A source of three scenes."""

    def __init__(self):
        self.scenes = [draw_scene(np.random.default_rng(i), (64, 64), "nuclei") for i in range(3)]

    def __len__(self):
        return len(self.scenes)

    def __getitem__(self, index):
        return self.scenes[index].image, self.scenes[index].levels
