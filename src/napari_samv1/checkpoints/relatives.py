"""Models that share a name or a file format with Segment Anything, but not its network."""

from __future__ import annotations

from collections.abc import Collection

# kind of model, remedy, and parts of tensor names that only this kind has
RELATIVES = (
    (
        "a SAM 3 model",
        "only SAM 1 runs here",
        ("detector.backbone.", "detector.transformer.", "detector_model.", "tracker.maskmem"),
    ),
    (
        "a SAM 2 model",
        "only SAM 1 runs here",
        ("image_encoder.trunk.", "sam_mask_decoder.", "memory_attention.", "memory_encoder."),
    ),
    (
        "a MobileSAM or other TinyViT model (vit_t)",
        "use one with a ViT-B, ViT-L or ViT-H encoder",
        ("image_encoder.patch_embed.seq.", "image_encoder.layers."),
    ),
    (
        "an HQ-SAM model",
        "use the plain SAM model that it extends",
        ("hf_token", "hf_mlp", "compress_vit_feat", "embedding_maskfeature", "hq_token"),
    ),
    (
        "a SAM model with adapters in its encoder",
        "merge them into the weights with the tool that trained it",
        (
            "qkv.w_a_linear",
            "qkv.w_b_linear",
            "linear_a_q",
            "qkv.qkv_proj",
            "mlp.mlp_layer",
            "lora_",
            "_Adapter",
            "adapter.",
        ),
    ),
    (
        "in the naming of Hugging Face transformers",
        "use the published .pth file of the same model",
        ("vision_encoder.layers.", "shared_image_embedding."),
    ),
)


def relative_of(names: Collection[str]) -> str | None:
    """Name the kind of model that has these tensors, and the remedy; None if no name is recognised."""
    for kind, remedy, marks in RELATIVES:
        if any(mark in name for name in names for mark in marks):
            return f"{kind}: {remedy}"
    return None
