"""Maps of a dense head that is right, made of labels."""

from __future__ import annotations

import numpy as np

from napari_samv1.training.dense_head import seed_targets

SURE = 8.0


def right_maps(labels):
    maps, _ = seed_targets(labels, 2)
    chances = np.clip(maps[:3], 1 / (1 + np.exp(SURE)), 1 / (1 + np.exp(-SURE)))
    return np.concatenate([np.log(chances / (1 - chances)), maps[3:]]).astype(np.float32)
