"""The published generator, package segment-anything-py, around the bundled weights.

It imports torchvision, which needs the very build of torch that it was made with: three stand-ins serve.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from napari_samv1.checkpoints.meta_keys import to_published
from napari_samv1.checkpoints.record import LoadedModel

SIDE = 384


def resize(image: Image.Image, size_hw: tuple[int, int]) -> Image.Image:
    """torchvision's, of a Pillow image: Pillow's bilinear."""
    return image.resize(size_hw[::-1], Image.Resampling.BILINEAR)


def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """torchvision's, one pair at a time: the best box first, those that overlap it by more dropped."""
    assert (idxs == 0).all()
    left = torch.sort(scores, descending=True, stable=True).indices.tolist()
    kept = []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [one for one in left if not _iou(boxes[best], boxes[one]) > iou_threshold]
    return torch.tensor(kept, dtype=torch.int64)


def _iou(a: Tensor, b: Tensor) -> float:
    shared = (torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2])).clamp(min=0).prod()
    return float(shared / (box_area(a[None])[0] + box_area(b[None])[0] - shared))


def box_area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def stand_in_for_torchvision(patch: pytest.MonkeyPatch) -> None:
    functional = ModuleType("torchvision.transforms.functional")
    functional.resize, functional.to_pil_image = resize, Image.fromarray  # type: ignore[attr-defined]
    boxes = ModuleType("torchvision.ops.boxes")
    boxes.batched_nms, boxes.box_area = batched_nms, box_area  # type: ignore[attr-defined]
    for module in (functional, boxes):
        *parents, _ = module.__name__.split(".")
        for i in range(1, len(parents) + 1):
            name = ".".join(parents[:i])
            patch.setitem(sys.modules, name, ModuleType(name))
        patch.setitem(sys.modules, module.__name__, module)


def published_generator(model: LoadedModel, patch: pytest.MonkeyPatch, **settings: Any) -> Any:
    """A ``SamAutomaticMaskGenerator`` whose modules hold the model's weights, with a 384-pixel input."""
    stand_in_for_torchvision(patch)
    from functools import partial

    from segment_anything.automatic_mask_generator import SamAutomaticMaskGenerator
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    config = model.config
    published = Sam(
        image_encoder=ImageEncoderViT(
            depth=config.depth,
            embed_dim=config.width,
            img_size=config.side,
            mlp_ratio=config.mlp_ratio,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            num_heads=config.heads,
            patch_size=config.patch,
            qkv_bias=True,
            use_rel_pos=True,
            global_attn_indexes=[(n + 1) * config.blocks_per_stage - 1 for n in range(config.stages)],
            window_size=config.window,
            out_chans=config.channels,
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=config.channels,
            image_embedding_size=(config.grid, config.grid),
            input_image_size=(config.side, config.side),
            mask_in_chans=config.hint_channels,
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(
                depth=config.decoder_depth,
                embedding_dim=config.channels,
                mlp_dim=config.decoder_mlp,
                num_heads=config.decoder_heads,
            ),
            transformer_dim=config.channels,
            iou_head_depth=3,
            iou_head_hidden_dim=256,
        ),
        pixel_mean=list(model.preparation.mean),
        pixel_std=list(model.preparation.std),
    ).eval()
    published.load_state_dict(to_published(model.network.state_dict(), config))
    return SamAutomaticMaskGenerator(published, **settings)


def masks_of(records: list[dict[str, Any]]) -> list[NDArray[np.bool_]]:
    return [record["segmentation"] for record in records]
