"""timm's vision transformers on a packed stream of patches: images of any shape in one batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kagaku.errors import InputError
from kagaku.models.attention import segment_layout
from kagaku.models.attention_kernels import plan_attention
from kagaku.models.public.config import TransformerSizes
from kagaku.models.public.transformer import PublicBlock


@dataclass(frozen=True)
class VisionConfig:
    """Sizes and variants of a vision transformer."""

    sizes: TransformerSizes
    """Sizes of the stack."""

    patch: tuple[int, int]
    """Rows and columns of a patch, in pixels."""

    channels: int
    """Channels of an image."""

    grid: tuple[int, int]
    """Rows and columns of patches for which positions were learnt."""

    n_prefix: int
    """Class and register tokens before the patches."""

    has_prefix_positions: bool
    """Whether positions are learnt for these too."""

    pooling: str
    """``"token"``, the class token; or ``"avg"``, the mean of the patches."""

    has_first_norm: bool
    """Whether a norm precedes the first block, as in CLIP."""

    has_last_norm: bool
    """Whether a norm follows the last block."""

    has_pool_norm: bool
    """Whether a norm follows pooling."""

    has_patch_bias: bool
    """Whether the patch embedding has a bias."""


class VisionNetwork(nn.Module):
    """A vision transformer without its classifier.

    Args:
        config: Sizes and variants.
    """

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.sizes.dim
        rows, columns = config.patch
        self.patches = nn.Linear(config.channels * rows * columns, dim, bias=config.has_patch_bias)
        self.prefix = nn.Parameter(torch.zeros(config.n_prefix, dim))
        n_positions = config.grid[0] * config.grid[1]
        n_positions += config.n_prefix if config.has_prefix_positions else 0
        self.positions = nn.Parameter(torch.zeros(n_positions, dim))
        norms = (config.has_first_norm, config.has_last_norm, config.has_pool_norm)
        self.first_norm, self.last_norm, self.pool_norm = (
            nn.LayerNorm(dim, eps=config.sizes.norm_eps) if has else None for has in norms
        )
        self.blocks = nn.ModuleList(PublicBlock(config.sizes) for _ in range(config.sizes.depth))

    def forward(
        self, images: Sequence[Float[Tensor, "channel _row _column"]]
    ) -> tuple[Float[Tensor, "token dim"], Int[Tensor, " image_plus_one"]]:
        """Return one embedding per token, image by image, and where each image's tokens start.

        Each image's prefix tokens stand before its patches, which go row by row.

        Args:
            images: Of any shape whose rows and columns are multiples of the patch's.
        """
        parts = [self._embedded(image) for image in images]
        lengths = torch.tensor([0, *(len(one) for one in parts)], device=self.prefix.device)
        offsets = lengths.cumsum(0)
        layout = segment_layout(offsets)
        x = torch.cat(parts)[layout.order]
        if self.first_norm is not None:
            x = self.first_norm(x)
        plan = plan_attention(layout, x.dtype, self.config.sizes.head_dim)
        for block in self.blocks:
            x = block(x, plan, None)
        if self.last_norm is not None:
            x = self.last_norm(x)
        return x[layout.inverse], offsets

    def cut(
        self, image: Float[Tensor, "channel _row _column"]
    ) -> tuple[Float[Tensor, "_patch _pixel"], tuple[int, int]]:
        """Return an image's patches, row by row, and the rows and columns of their grid."""
        height, width = self.config.patch
        channels, rows, columns = image.shape
        grid = (rows // height, columns // width)
        assert channels == self.config.channels, f"{channels} channels"
        assert (grid[0] * height, grid[1] * width) == (rows, columns), f"{rows} x {columns} pixels"
        parts = image.reshape(channels, grid[0], height, grid[1], width)
        return parts.permute(1, 3, 0, 2, 4).reshape(grid[0] * grid[1], -1), grid

    def joined(
        self, patches: Float[Tensor, "_patch _pixel"], grid: tuple[int, int]
    ) -> Float[Tensor, "channel _row _column"]:
        """Return the image that `cut` took apart."""
        height, width = self.config.patch
        channels, (rows, columns) = self.config.channels, grid
        parts = patches.view(rows, columns, channels, height, width)
        return parts.permute(2, 0, 3, 1, 4).reshape(channels, rows * height, columns * width)

    def _embedded(
        self, image: Float[Tensor, "channel _row _column"]
    ) -> Float[Tensor, "_token dim"]:
        pixels, grid = self.cut(image.to(self.prefix.dtype))
        x = self.patches(pixels)
        positions = self._positions(grid)
        if self.config.has_prefix_positions:
            return torch.cat([self.prefix, x]) + positions
        return torch.cat([self.prefix, x + positions])

    def _positions(self, grid: tuple[int, int]) -> Float[Tensor, "_token dim"]:
        """Return the positions of a grid, as timm makes them for another grid than the learnt."""
        if grid == self.config.grid:
            return self.positions
        from timm.layers import resample_abs_pos_embed  # here, since timm takes seconds to import

        n_prefix = self.config.n_prefix if self.config.has_prefix_positions else 0
        resampled: Tensor = resample_abs_pos_embed(
            self.positions[None], grid, self.config.grid, num_prefix_tokens=n_prefix
        )
        return resampled[0]

    def pooled(
        self, x: Float[Tensor, "token dim"], offsets: Int[Tensor, " image_plus_one"]
    ) -> Float[Tensor, "image dim"]:
        """Return one embedding per image: what its classifier would read."""
        if self.config.pooling == "token":
            pooled = x[offsets[:-1]]
        else:
            lengths = offsets.diff()
            image = torch.repeat_interleave(torch.arange(len(lengths), device=x.device), lengths)
            place = torch.arange(len(x), device=x.device) - offsets[:-1][image]
            is_patch = place >= self.config.n_prefix
            sums = x.new_zeros(len(lengths), x.shape[1], dtype=torch.float32)
            sums = sums.index_add(0, image[is_patch], x[is_patch].float())
            pooled = (sums / (lengths - self.config.n_prefix)[:, None]).to(x.dtype)
        out: Tensor = pooled if self.pool_norm is None else self.pool_norm(pooled)
        return out


def from_timm(model: Any) -> VisionNetwork:
    """Return a timm vision transformer's weights on the packed path.

    Args:
        model: A `timm.models.vision_transformer.VisionTransformer`.

    Raises:
        InputError: It is another architecture, or has parts that are not supported.
    """
    weights = dict(model.state_dict())
    config = _config(model)
    with torch.device("meta"):
        network = VisionNetwork(config)
    dim = config.sizes.dim
    prefix = [weights.pop(name)[0] for name in ("cls_token", "reg_token") if name in weights]
    joined = torch.cat(prefix) if prefix else torch.zeros(0, dim)
    taken = {
        "prefix": joined,
        "positions": weights.pop("pos_embed")[0],
        "patches.weight": weights.pop("patch_embed.proj.weight").reshape(dim, -1),
    }
    wanted = set(network.state_dict()) - set(taken)
    for name in [one for one in weights if _ours(one) in wanted]:
        taken[_ours(name)] = weights.pop(name)
    rest = [name for name in weights if not name.startswith("head.")]
    missing = set(network.state_dict()) - set(taken)
    if rest or missing:
        raise InputError(
            f"the vision transformer has odd or missing parts: {(rest or sorted(missing))[:6]}",
            fix=_CHOOSE,
        )
    network.load_state_dict({name: one.clone() for name, one in taken.items()}, assign=True)
    return network.eval()


_CHOOSE = "Choose a plain ViT, DeiT or DINOv2 model of timm, such as vit_base_patch16_224."

_NAMES = (
    ("patch_embed.proj.", "patches."),
    ("norm_pre.", "first_norm."),
    ("fc_norm.", "pool_norm."),
    (".norm1.", ".attention_norm."),
    (".norm2.", ".feed_forward_norm."),
    (".attn.qkv.", ".attention.query_key_value."),
    (".attn.proj.", ".attention.out."),
    (".mlp.fc1.", ".feed_forward.rise."),
    (".mlp.fc2.", ".feed_forward.fall."),
    (".ls1.gamma", ".attention_scale.scale"),
    (".ls2.gamma", ".feed_forward_scale.scale"),
)


def _ours(name: str) -> str:
    """Return our name of one of timm's weights."""
    if name.startswith("norm."):
        return f"last_{name}"
    for theirs, ours in _NAMES:
        name = name.replace(theirs, ours)
    return name


def _config(model: Any) -> VisionConfig:
    """Return the configuration of a timm model, once everything that it may not have is refused."""
    from timm.layers import PatchEmbed
    from timm.models.vision_transformer import Attention, Block, VisionTransformer

    if type(model) is not VisionTransformer:
        raise InputError(
            f"the architecture is {type(model).__name__}",
            fix=_CHOOSE,
        )
    # Other blocks have other parts, which must not be asked for.
    if not len(model.blocks) or not all(
        type(one) is Block and type(one.attn) is Attention for one in model.blocks
    ):
        kinds = sorted({type(one).__name__ for one in model.blocks})
        raise InputError(f"the vision transformer has other blocks: {kinds}", fix=_CHOOSE)
    first = model.blocks[0]
    checks = {
        "the patch embedding": type(model.patch_embed) is PatchEmbed
        and isinstance(model.patch_embed.norm, nn.Identity),
        "the activation": type(first.mlp.act) is nn.GELU and first.mlp.act.approximate == "none",
        "normed queries": isinstance(first.attn.q_norm, nn.Identity),
        "norms inside of parts": isinstance(first.attn.norm, nn.Identity)
        and isinstance(first.mlp.norm, nn.Identity),
        "the norms": isinstance(first.norm1, nn.LayerNorm),
        "positions": model.pos_embed is not None,
        "pooling": model.attn_pool is None
        and model.global_pool in ("token", "avg")
        and not model.pool_include_prefix,
    }
    if odd := [name for name, is_plain in checks.items() if not is_plain]:
        raise InputError(
            f"the vision transformer has variants that are not supported: {', '.join(odd)}",
            fix=_CHOOSE,
        )
    return VisionConfig(
        sizes=TransformerSizes(
            dim=model.embed_dim,
            depth=len(model.blocks),
            heads=first.attn.num_heads,
            hidden=first.mlp.fc1.out_features,
            norm_eps=first.norm1.eps,
            is_pre_norm=True,
            has_qkv_bias=first.attn.qkv.bias is not None,
            has_layer_scale=not isinstance(first.ls1, nn.Identity),
        ),
        patch=tuple(model.patch_embed.patch_size),
        channels=model.patch_embed.proj.in_channels,
        grid=tuple(model.patch_embed.grid_size),
        n_prefix=model.num_prefix_tokens,
        has_prefix_positions=not model.no_embed_class,
        pooling=model.global_pool,
        has_first_norm=not isinstance(model.norm_pre, nn.Identity),
        has_last_norm=not isinstance(model.norm, nn.Identity),
        has_pool_norm=not isinstance(model.fc_norm, nn.Identity),
        has_patch_bias=model.patch_embed.proj.bias is not None,
    )
