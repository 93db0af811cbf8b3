from __future__ import annotations

import hashlib
import io
import re

import pytest
import torch
from transformers import SamConfig as OracleConfig
from transformers import SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig

from napari_samv1.checkpoints import load as load_module
from napari_samv1.checkpoints.errors import CheckpointError
from napari_samv1.checkpoints.load import build_network, decodes_in_half, load_model, takes_dtype
from napari_samv1.checkpoints.meta_keys import to_published
from napari_samv1.checkpoints.registry import MODELS
from napari_samv1.model import Sam
from napari_samv1.model.config import TINY, VIT_B, VIT_H, VIT_L
from napari_samv1.records.preparation import BUNDLED, MEDSAM, Preparation

# transformers' names -> the published ones, as transformers' own conversion pairs them
CONVERSION = [
    (
        r"^shared_image_embedding\.positional_embedding$",
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
    ),
    (r"^vision_encoder\.", "image_encoder."),
    (r"^(image_encoder)\.layers\.", r"\1.blocks."),
    (r"patch_embed\.projection", "patch_embed.proj"),
    (r"neck\.conv1", "neck.0"),
    (r"neck\.layer_norm1", "neck.1"),
    (r"neck\.conv2", "neck.2"),
    (r"neck\.layer_norm2", "neck.3"),
    (r"mask_embed\.conv1", "mask_downscaling.0"),
    (r"mask_embed\.layer_norm1", "mask_downscaling.1"),
    (r"mask_embed\.conv2", "mask_downscaling.3"),
    (r"mask_embed\.layer_norm2", "mask_downscaling.4"),
    (r"mask_embed\.conv3", "mask_downscaling.6"),
    (r"\.point_embed\.", ".point_embeddings."),
    (r"upscale_conv1", "output_upscaling.0"),
    (r"upscale_layer_norm", "output_upscaling.1"),
    (r"upscale_conv2", "output_upscaling.3"),
    (r"(mlps\.\d|head)\.layers\.0", r"\1.layers.1"),
    (r"(mlps\.\d|head)\.proj_in", r"\1.layers.0"),
    (r"(mlps\.\d|head)\.proj_out", r"\1.layers.2"),
    (r"\.layer_norm", ".norm"),
]  # fmt: skip


@pytest.fixture(scope="module")
def oracle():
    torch.manual_seed(1)
    channels = 32
    model = SamModel(
        OracleConfig(
            vision_config=SamVisionConfig(
                hidden_size=48, num_hidden_layers=4, num_attention_heads=3, image_size=48, patch_size=8,
                window_size=4, global_attn_indexes=[1, 3], output_channels=channels, mlp_dim=192,
                num_pos_feats=channels // 2,
            ),
            prompt_encoder_config=SamPromptEncoderConfig(hidden_size=channels, image_size=48, patch_size=8),
            mask_decoder_config=SamMaskDecoderConfig(
                hidden_size=channels, mlp_dim=64, iou_head_hidden_dim=256, layer_norm_eps=1e-5
            ),
        )
    ).eval()  # fmt: skip
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.2)
    return model


def published(oracle):
    tensors = {}
    for name, tensor in oracle.state_dict().items():
        if name == "prompt_encoder.shared_embedding.positional_embedding":
            continue
        for pattern, replacement in CONVERSION:
            name = re.sub(pattern, replacement, name)
        tensors[name] = tensor
    return tensors


@torch.no_grad()
def test_a_published_file_computes_what_the_oracle_computes(oracle, tmp_path):
    path = tmp_path / "model.pth"
    torch.save(published(oracle), path)
    network = load_model(path, device="cpu", dtype="float32").network

    image = torch.randn(1, 3, 48, 48)
    points, labels = torch.tensor([[[10.0, 20.0], [30.0, 5.0]]]), torch.tensor([[1, 0]])
    expected = oracle(
        pixel_values=image, input_points=points[:, None], input_labels=labels[:, None], multimask_output=True
    )
    prompts = network.encode_prompts((points + 0.5) / 48, labels, torch.zeros(1, 0, 2, 2))
    logits, iou = network.decode(network.encode(image), prompts)
    spread = expected.pred_masks.abs().max()
    assert (logits[:, 1:] - expected.pred_masks[:, 0]).abs().max() < 1e-4 * spread
    torch.testing.assert_close(iou[:, 1:], expected.iou_scores[:, 0], rtol=1e-4, atol=1e-4)


@pytest.fixture
def saved(tmp_path, small_tensors):
    path = tmp_path / "own.pth"
    torch.save(small_tensors, path)
    return path


def load(path, **options):
    return load_model(path, **{"device": "cpu", "dtype": "float32"} | options)


def test_the_record_says_what_was_loaded(saved, small_config):
    model = load(saved)
    assert model.config == small_config
    assert model.name == "own.pth"
    assert model.sha256 == hashlib.sha256(saved.read_bytes()).hexdigest()
    assert model.device == torch.device("cpu")
    assert model.dtype == torch.float32
    assert not model.network.training
    assert not any(parameter.requires_grad for parameter in model.network.parameters())


def test_every_weight_arrives(saved, small_tensors, small_config):
    state = to_published(load(saved).network.state_dict(), small_config)
    assert state.keys() == small_tensors.keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in small_tensors.items())


def test_the_network_does_not_depend_on_the_file_afterwards(saved, small_tensors, small_config):
    network = load(saved).network
    saved.write_bytes(b"gone")
    state = to_published(network.state_dict(), small_config)
    assert all(torch.equal(state[name], tensor) for name, tensor in small_tensors.items())


def test_half_precision_files_become_float32(tmp_path, small_tensors):
    path = tmp_path / "half.pt"
    torch.save({name: tensor.half() for name, tensor in small_tensors.items()}, path)
    network = load(path).network
    assert {tensor.dtype for tensor in network.state_dict().values()} == {torch.float32}
    expected = small_tensors["image_encoder.neck.0.weight"].half().float()
    assert torch.equal(network.image_encoder.channel_projection.narrow.weight, expected)


@pytest.mark.parametrize(("config", "mlp"), [(TINY, False), (VIT_B, True)], ids=["narrow", "wide"])
def test_a_wide_network_s_mlps_are_rounded_and_a_narrow_one_s_are_not(config, mlp):
    stage = "image_encoder.stages.0.whole"
    assert takes_dtype(f"{stage}.attention.qkv.weight", config)
    assert takes_dtype(f"{stage}.mlp.expand.weight", config) is mlp
    assert takes_dtype(f"{stage}.norm_mlp.weight", config) is mlp
    assert not takes_dtype("mask_decoder.transformer.blocks.0.mlp.expand.weight", config)


def test_masks_are_decoded_in_float16_on_cuda_beside_a_rounded_encoder_of_a_published_size():
    cuda = torch.device("cuda")
    for config in (VIT_B, VIT_L, VIT_H):
        assert decodes_in_half(cuda, torch.bfloat16, config)
        assert not decodes_in_half(cuda, torch.float32, config)
        for device in ("cpu", "mps"):
            assert not decodes_in_half(torch.device(device), torch.bfloat16, config)
    assert not decodes_in_half(cuda, torch.bfloat16, TINY)


def test_a_loaded_model_decodes_as_its_device_and_precision_say(saved, monkeypatch):
    monkeypatch.setattr(load_module, "decodes_in_half", lambda *given: asked.append(given) or True)
    asked = []
    model = load(saved, dtype="bfloat16")
    assert model.decoder == "float16"
    assert asked == [(torch.device("cpu"), torch.bfloat16, model.config)]
    monkeypatch.setattr(Sam, "decoding_in", short_of_memory)
    assert load(saved, dtype="bfloat16").decoder == "float32"


def short_of_memory(*_):
    raise torch.OutOfMemoryError("CUDA out of memory.")


def test_in_bfloat16_only_the_encoder_s_stages_are_rounded(saved, small_tensors):
    model = load(saved, dtype="bfloat16")
    assert model.dtype == torch.bfloat16
    rounded = {name for name, p in model.network.named_parameters() if p.dtype == torch.bfloat16}
    stages = {name for name, _ in model.network.named_parameters() if name.startswith("image_encoder.stages")}
    assert rounded == {name for name in stages if "mlp" not in name}  # this network is narrow
    frequencies = small_tensors["prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"]
    assert torch.equal(model.network.coordinate_encoder.frequencies, frequencies)
    with torch.no_grad():
        assert model.network.encode(torch.randn(1, 3, 24, 24)).isfinite().all()


def test_a_network_built_from_tensors_shares_none_of_them(small_tensors, small_config):
    network = build_network(small_tensors, small_config)
    small_tensors["image_encoder.neck.0.weight"].zero_()
    assert network.image_encoder.channel_projection.narrow.weight.any()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda t: t.pop("mask_decoder.transformer.norm_final_attn.bias"),
            r"1 missing: .*norm_final_attn\.bias",
        ),
        (lambda t: t.update({"mask_decoder.extra": torch.zeros(1)}), r"1 unknown: mask_decoder\.extra"),
        (
            lambda t: t.update({"image_encoder.neck.1.bias": torch.zeros(7)}),
            r"1 of another shape: image_encoder\.neck\.1\.bias \(16 expected, 7 found\)",
        ),
        (
            lambda t: [t.pop(f"prompt_encoder.point_embeddings.{n}.weight") for n in range(4)],
            r"4 missing: prompt_encoder\.point_embeddings\.0\.weight, .*, \.\.\.",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(change, told, tmp_path, small_tensors):
    change(small_tensors)
    path = tmp_path / "model.pt"
    torch.save(small_tensors, path)
    with pytest.raises(CheckpointError, match=told) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_a_part_of_a_model_is_refused(tmp_path, small_tensors):
    path = tmp_path / "encoder.pt"
    torch.save({k: v for k, v in small_tensors.items() if k.startswith("image_encoder")}, path)
    with pytest.raises(CheckpointError, match="not a whole Segment Anything model"):
        load(path)


def test_an_own_file_is_prepared_as_published_at_its_own_side(saved):
    assert load(saved).preparation == Preparation(side=24)


def test_an_own_file_of_the_bundled_sizes_is_prepared_as_the_bundled_model_is(tmp_path, shapes_of):
    path = tmp_path / "retrained.pt"
    torch.save(
        {name: torch.zeros(shape, dtype=torch.float16) for name, shape in shapes_of(TINY).items()}, path
    )
    assert load(path).preparation == BUNDLED == MODELS["tiny"].preparation


def test_a_preparation_can_be_chosen(saved):
    own = Preparation(side=32, mean=(1.0, 2.0, 3.0))
    assert load(saved, preparation=own).preparation == own
    chosen = load(saved, preparation="medsam").preparation
    assert (chosen.side, chosen.sizing, chosen.minmax, chosen.box_only) == (24, MEDSAM.sizing, True, True)
    with pytest.raises(ValueError, match="must be one of published, medsam"):
        load(saved, preparation="other")


def test_an_unknown_name_lists_the_known_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=r"no known model of that name \(tiny, vit_b,"):
        load("vitb")


def test_a_known_model_that_is_not_here_says_how_to_fetch_it():
    with pytest.raises(CheckpointError, match="napari-samv1 models download vit_b"):
        load("vit_b")


@pytest.fixture
def content(small_tensors):
    file = io.BytesIO()
    torch.save(small_tensors, file)
    return file.getvalue()


@pytest.mark.parametrize("algorithm", ["sha256", "xxh128"])
def test_a_known_model_placed_by_hand_is_loaded(algorithm, content, register):
    known = register(content, algorithm=algorithm)
    known.path.parent.mkdir(parents=True)
    known.path.write_bytes(content)
    model = load("sample")
    assert model.name == "sample"
    assert model.preparation == known.preparation
    assert model.sha256 == hashlib.sha256(content).hexdigest()


def test_another_file_under_a_known_name_is_refused(content, register):
    known = register(content)
    known.path.parent.mkdir(parents=True)
    known.path.write_bytes(content + b"x")
    with pytest.raises(CheckpointError, match="is not the published sample"):
        load("sample")


def test_a_known_name_wins_over_a_file_of_that_name(tmp_path, saved, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved.rename(tmp_path / "vit_b")
    with pytest.raises(CheckpointError, match="not on disk"):
        load("vit_b")
    assert load("./vit_b").name == "vit_b"


def test_the_bundled_model_loads_offline_and_is_small():
    model = load("tiny")
    assert model.config == TINY
    assert MODELS["tiny"].path.stat().st_size < 25e6
    assert len(model.sha256) == 64


class Small:
    """A device, here "mps", on which no network has room."""

    def __init__(self, monkeypatch):
        self.device = torch.device("mps")
        monkeypatch.setattr(
            load_module,
            "choose_device",
            lambda wanted: torch.device("cpu") if wanted == "cpu" else self.device,
        )
        monkeypatch.setattr(load_module, "choose_dtype", lambda wanted, device: torch.float32)
        monkeypatch.setattr(load_module, "release", lambda device: None)
        build = load_module.build_network

        def failing(tensors, config, device, dtype):
            if device == self.device:
                raise torch.OutOfMemoryError("MPS backend out of memory (MPS allocated: 18.13 GB)")
            return build(tensors, config, device, dtype)

        monkeypatch.setattr(load_module, "build_network", failing)


def test_a_model_too_large_for_the_graphics_card_runs_on_the_cpu(saved, monkeypatch):
    Small(monkeypatch)
    with pytest.warns(UserWarning, match=r"Memory does not suffice on mps for .*: it runs on the CPU"):
        loaded = load_model(saved)
    assert loaded.device.type == "cpu"


def test_a_model_too_large_for_the_device_that_was_asked_for_says_what_to_do(saved, monkeypatch):
    Small(monkeypatch)
    with pytest.raises(MemoryError, match=r"to load .*choose a smaller model, or the device cpu"):
        load_model(saved, device="mps")
