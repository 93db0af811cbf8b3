"""One network with random weights, three times: ours, the published code, and transformers'."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_samv1.checkpoints.load import takes_dtype
from napari_samv1.checkpoints.meta_keys import to_published
from napari_samv1.checkpoints.record import LoadedModel
from napari_samv1.engine.embedding import Embedding, EmbeddingKey
from napari_samv1.engine.prediction import Prediction
from napari_samv1.engine.predictor import Predictor
from napari_samv1.model import VIT_B, VIT_H, VIT_L, Sam, SamConfig
from napari_samv1.records.frame import Frame
from napari_samv1.records.preparation import PUBLISHED
from napari_samv1.records.prompts import Prompts

SIZES = {"vit_b": VIT_B, "vit_l": VIT_L, "vit_h": VIT_H}


@dataclass(frozen=True)
class Asked:
    """Prompts of B objects in pixels of the model input, x before y: points B N 2, boxes B 4 or none."""

    points_xy: NDArray[np.float32]
    labels: NDArray[np.int64]
    boxes_xyxy: NDArray[np.float32] | None


class Implementation(Protocol):
    """What is compared: tokens from pixels, then masks 1 to 3 and their scores from prompts."""

    def encode(self, pixels_bchw: Tensor) -> Tensor: ...

    def image(self, tokens_bchw: Tensor) -> Any:
        """What decoding takes, made once for an image."""

    def decode(self, image: Any, asked: Asked) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...


def random_network(config: SamConfig, seed: int = 0) -> Sam:
    """Weights as torch draws them, position tables included, which it would leave at zero."""
    torch.manual_seed(seed)
    network = Sam(config).eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        if "position" in name:
            parameter.normal_(0, 0.05)
    return network


class Ours:
    """This package, as scripts call it."""

    def __init__(self, network: Sam, dtype: torch.dtype = torch.float32) -> None:
        for name, parameter in network.named_parameters():
            if takes_dtype(name, network.config):
                parameter.data = parameter.data.to(dtype)
        self.network = network
        self.predictor = Predictor(LoadedModel(network, network.config, PUBLISHED, "random", "random"))

    @torch.inference_mode()
    def encode(self, pixels_bchw: Tensor) -> Tensor:
        return self.network.encode(pixels_bchw)

    @torch.inference_mode()
    def image(self, tokens_bchw: Tensor) -> Embedding:
        patch = self.network.config.patch
        height, width = (side * patch for side in tokens_bchw.shape[2:])
        frame = Frame.plan((height, width), side=max(height, width), patch=patch)
        key = EmbeddingKey("random", "random", PUBLISHED, frame, None, 1.0, "float32", "cpu")
        return Embedding(tokens_bchw, frame, key)

    def predict(self, image: Embedding, asked: Asked) -> list[Prediction]:
        boxes: list[Any] = [[]] * len(asked.points_xy)
        if asked.boxes_xyxy is not None:
            boxes = [[box[[1, 0, 3, 2]]] for box in asked.boxes_xyxy]
        prompts = [
            Prompts(points_yx=points[:, ::-1], labels=labels, boxes_yx=box)
            for points, labels, box in zip(asked.points_xy, asked.labels, boxes, strict=True)
        ]
        return self.predictor.predict_each(image, prompts)

    def decode(self, image: Embedding, asked: Asked) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        predictions = self.predict(image, asked)
        return np.stack([one.logits[1:] for one in predictions]), np.stack(
            [one.iou[1:] for one in predictions]
        )


class Published:
    """The published code (package segment-anything-py)."""

    def __init__(self, network: Sam) -> None:
        from segment_anything import sam_model_registry

        name = next(name for name, config in SIZES.items() if config == network.config)
        self.model = sam_model_registry[name]().eval().requires_grad_(False)
        self.model.load_state_dict(to_published(network.state_dict(), network.config))

    @torch.inference_mode()
    def encode(self, pixels_bchw: Tensor) -> Tensor:
        return self.model.image_encoder(pixels_bchw)

    def image(self, tokens_bchw: Tensor) -> Tensor:
        return tokens_bchw

    @torch.inference_mode()
    def decode(self, image: Tensor, asked: Asked) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        points = (
            torch.from_numpy(asked.points_xy).to(image.device),
            torch.from_numpy(asked.labels).to(image.device),
        )
        boxes = None if asked.boxes_xyxy is None else torch.from_numpy(asked.boxes_xyxy).to(image.device)
        encoder = self.model.prompt_encoder
        sparse, dense = encoder(points=points if asked.labels.size else None, boxes=boxes, masks=None)
        logits, iou = self.model.mask_decoder(
            image_embeddings=image,
            image_pe=encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )
        return logits.cpu().numpy(), iou.cpu().numpy()


class Transformers:
    """transformers' SamModel, with its fused attention (sdpa)."""

    def __init__(self, network: Sam) -> None:
        from transformers import SamConfig as TheirConfig
        from transformers import SamMaskDecoderConfig, SamModel, SamVisionConfig

        config = network.config
        vision = SamVisionConfig(
            hidden_size=config.width,
            num_hidden_layers=config.depth,
            num_attention_heads=config.heads,
            mlp_dim=config.width * config.mlp_ratio,
            global_attn_indexes=[(n + 1) * config.blocks_per_stage - 1 for n in range(config.stages)],
        )
        # the published decoder's; the library's own default is another
        decoder = SamMaskDecoderConfig(layer_norm_eps=1e-5)
        whole = TheirConfig(vision_config=vision, mask_decoder_config=decoder)
        whole._attn_implementation = "sdpa"
        self.model = SamModel(whole).eval().requires_grad_(False)
        tensors = to_published(network.state_dict(), config)
        state = {_their_name(name): tensor for name, tensor in tensors.items()}
        state["prompt_encoder.shared_embedding.positional_embedding"] = state[
            f"{_POSITIONS}.positional_embedding"
        ]
        self.model.load_state_dict(state)

    @torch.inference_mode()
    def encode(self, pixels_bchw: Tensor) -> Tensor:
        return self.model.get_image_embeddings(pixels_bchw)

    def image(self, tokens_bchw: Tensor) -> Tensor:
        return tokens_bchw

    @torch.inference_mode()
    def decode(self, image: Tensor, asked: Asked) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        given: dict[str, Tensor] = {}
        if asked.labels.size:
            given["input_points"] = torch.from_numpy(asked.points_xy)[None]
            given["input_labels"] = torch.from_numpy(asked.labels)[None]
        if asked.boxes_xyxy is not None:
            given["input_boxes"] = torch.from_numpy(asked.boxes_xyxy)[None]
        answer = self.model(image_embeddings=image, multimask_output=True, **given)
        return answer.pred_masks[0].numpy(), answer.iou_scores[0].numpy()


MAKE: dict[str, Callable[[Sam], Implementation]] = {
    "ours": Ours,
    "ours, bfloat16": lambda network: Ours(network, torch.bfloat16),
    "published": Published,
    "transformers": Transformers,
}

_POSITIONS = "shared_image_embedding"
# published names -> transformers' names, in this order
_RENAMED = (
    (r"^image_encoder\.", "vision_encoder."),
    (r"\.patch_embed\.proj\.", ".patch_embed.projection."),
    (r"\.blocks\.", ".layers."),
    (r"\.norm(\d)\.", r".layer_norm\1."),
    (r"\.norm_final_attn\.", ".layer_norm_final_attn."),
    (r"\.neck\.0\.", ".neck.conv1."),
    (r"\.neck\.1\.", ".neck.layer_norm1."),
    (r"\.neck\.2\.", ".neck.conv2."),
    (r"\.neck\.3\.", ".neck.layer_norm2."),
    (
        r"^prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix$",
        f"{_POSITIONS}.positional_embedding",
    ),
    (r"\.point_embeddings\.", ".point_embed."),
    (r"\.mask_downscaling\.0\.", ".mask_embed.conv1."),
    (r"\.mask_downscaling\.1\.", ".mask_embed.layer_norm1."),
    (r"\.mask_downscaling\.3\.", ".mask_embed.conv2."),
    (r"\.mask_downscaling\.4\.", ".mask_embed.layer_norm2."),
    (r"\.mask_downscaling\.6\.", ".mask_embed.conv3."),
    (r"\.output_upscaling\.0\.", ".upscale_conv1."),
    (r"\.output_upscaling\.1\.", ".upscale_layer_norm."),
    (r"\.output_upscaling\.3\.", ".upscale_conv2."),
    (r"(mlps\.\d|head)\.layers\.0\.", r"\1.proj_in."),
    (r"(mlps\.\d|head)\.layers\.2\.", r"\1.proj_out."),
    (r"(mlps\.\d|head)\.layers\.1\.", r"\1.layers.0."),
)


def _their_name(name: str) -> str:
    for pattern, replacement in _RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


def difference(ours: Any, theirs: Any) -> float:
    """The largest difference, relative to the range of the expected values."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    return float(np.abs(ours - theirs).max() / np.ptp(theirs))
