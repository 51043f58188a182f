"""The packed vision transformer gives what timm's gives, for images of any shape in one batch."""

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from kagaku.errors import InputError
from kagaku.models.public import VisionEncoder, load_public
from kagaku.models.public.vision_network import from_timm

# A plain ViT with a class token; pooling by the mean; registers, layer scale and positions of the
# patches only, as in DINOv2; a norm before the blocks, as in CLIP. Real widths, two blocks.
VARIANTS: dict[str, dict[str, Any]] = {
    "vit_small_patch16_224": {},
    "vit_base_patch16_224": {"global_pool": "avg"},
    "vit_small_patch14_reg4_dinov2": {"img_size": 98},
    "vit_tiny_patch16_224": {"pre_norm": True, "global_pool": "avg", "class_token": False},
}


def timm_model(name: str, **settings: Any) -> Any:
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False, depth=2, dynamic_img_size=True, **settings)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() < 3 and parameter.numel() > 1:
                parameter.add_(0.05 * torch.randn_like(parameter))
            elif parameter.dim() == 3:
                parameter.normal_()
    return model.eval()


@pytest.mark.parametrize("name", VARIANTS)
def test_tokens_and_pooled_embeddings_are_timms(name: str) -> None:
    model = timm_model(name, **VARIANTS[name])
    network = from_timm(model)
    side = model.patch_embed.patch_size[0]
    learnt = model.patch_embed.grid_size[0]
    shapes = [(learnt, learnt), (3, 5), (learnt, learnt), (6, 2)]
    images = [torch.randn(3, rows * side, columns * side) for rows, columns in shapes]
    with torch.no_grad():
        tokens, offsets = network(images)
        pooled = network.pooled(tokens, offsets)
        for number, image in enumerate(images):
            features = model.forward_features(image[None])
            ours = tokens[offsets[number] : offsets[number + 1]]
            assert features.std() > 0.3
            torch.testing.assert_close(ours, features[0], atol=1e-4, rtol=0)
            head = model.forward_head(features, pre_logits=True)[0]
            torch.testing.assert_close(pooled[number], head, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["vit_small_patch16_224", "vit_small_patch14_reg4_dinov2"])
def test_bfloat16_is_as_near_as_that_of_timm(name: str) -> None:
    model = timm_model(name, **VARIANTS[name])
    side = model.patch_embed.patch_size[0]
    images = [torch.randn(3, rows * side, columns * side) for rows, columns in ((14, 14), (9, 12))]
    rounded = copy.deepcopy(model).bfloat16()
    with torch.no_grad():
        ours = from_timm(model).bfloat16()(images)[0].float()
        exact = torch.cat([model.forward_features(one[None])[0] for one in images])
        theirs = torch.cat([rounded.forward_features(one[None].bfloat16())[0] for one in images])
    mistake, their_mistake = (
        float((one.float() - exact).square().mean().sqrt() / exact.std()) for one in (ours, theirs)
    )
    assert mistake < 0.03
    assert mistake < 1.5 * their_mistake


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vision") / "vit"
    path.mkdir()
    model = timm_model("vit_tiny_patch16_224", num_classes=5)
    save_file(model.state_dict(), str(path / "model.safetensors"))
    config = {
        "architecture": "vit_tiny_patch16_224",
        "num_classes": 5,
        "model_args": {"depth": 2},
        "pretrained_cfg": {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]},
    }
    (path / "config.json").write_text(json.dumps(config))
    return path


def test_a_folder_of_timms_format_embeds_image_files(folder: Path, tmp_path: Path) -> None:
    encoder = load_public(folder)
    assert isinstance(encoder, VisionEncoder)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (224, 224, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "square.png")
    grey = rng.integers(0, 256, (300, 90), dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    square, narrow = encoder.embed([tmp_path / "square.png", tmp_path / "grey.png"])
    assert encoder.prepare(grey).shape == (3, 224, 64)
    model = timm_model("vit_tiny_patch16_224", num_classes=5)
    mean, std = np.array([0.5, 0.4, 0.3]), np.array([0.2, 0.3, 0.4])
    normed = torch.from_numpy((pixels / 255 - mean) / std).float().permute(2, 0, 1)
    with torch.no_grad():
        theirs = model.forward_head(model.forward_features(normed[None]), pre_logits=True)[0]
    np.testing.assert_allclose(square, theirs.numpy(), atol=1e-4)
    np.testing.assert_allclose(encoder.embed([grey])[0], narrow, atol=1e-5)


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        (
            "model_args",
            {"depht": 2},
            "timm makes no vit_tiny_patch16_224.*TypeError: .*depht",
        ),
        ("model_args", {"depth": "two"}, "timm makes no vit_tiny_patch16_224 of it"),
        ("model_args", {"patch_size": 0}, "timm makes no vit_tiny_patch16_224 of it"),
        ("model_args", "depth", "its model_args is 'depth', and no entries in braces"),
        ("num_classes", "five", "timm makes no vit_tiny_patch16_224 of it"),
        ("pretrained_cfg", "none", "its pretrained_cfg is 'none', and no entries in braces"),
        ("pretrained_cfg", {"mean": [0.5, 0.4]}, r"the mean of .* is \[0.5, 0.4\], and not 3 num"),
        ("pretrained_cfg", {"mean": 0.5}, "the mean of .* is 0.5, and not 3 numbers"),
        ("pretrained_cfg", {"std": [0.2, 0, 1]}, "the std of .*, and not 3 positive numbers"),
        ("pretrained_cfg", {"std": ["a", 1, 1]}, "the std of .*, and not 3 positive numbers"),
        ("architecture", "vit_now", "knows no architecture 'vit_now'"),
    ],
)
def test_configurations_that_timm_cannot_use_are_refused(
    folder: Path, tmp_path: Path, entry: str, value: Any, message: str
) -> None:
    odd = tmp_path / "odd"
    shutil.copytree(folder, odd)
    path = odd / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), entry: value}))
    with pytest.raises(InputError, match=message):
        load_public(odd)


def test_other_channels_than_the_models_are_refused(folder: Path) -> None:
    encoder = load_public(folder)
    with pytest.raises(InputError, match="the image has 5 channels, and vit reads 3"):
        encoder.embed_values([np.zeros((20, 20, 5), dtype=np.uint8)])


def test_architectures_that_are_no_plain_vision_transformer_are_refused() -> None:
    with pytest.raises(InputError, match="the architecture is ResNet"):
        from_timm(timm.create_model("resnet18"))
    for name, kind in (
        ("vit_small_patch16_18x2_224", "ParallelThingsBlock"),
        ("vit_base_patch16_xp_224", "ParallelScalingBlock"),
    ):
        with pytest.raises(InputError, match=f"the vision transformer has other blocks.*{kind}"):
            from_timm(timm.create_model(name, depth=1))
    with pytest.raises(InputError, match=r"has other blocks: \[\]"):
        from_timm(timm.create_model("vit_tiny_patch16_224", depth=0))
    with pytest.raises(InputError, match="not supported: normed queries"):
        from_timm(timm.create_model("vit_tiny_patch16_224", depth=1, qk_norm=True))


def test_gradients_reach_the_patches() -> None:
    network = from_timm(timm_model("vit_tiny_patch16_224"))
    tokens, offsets = network([torch.randn(3, 224, 224)])
    torch.autograd.backward(network.pooled(tokens, offsets).square().sum())
    assert network.patches.weight.grad is not None
    assert network.patches.weight.grad.abs().max() > 0
