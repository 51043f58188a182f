"""How long, how exactly and where a network is pretrained, as a recipe says it."""

from dataclasses import dataclass

from kagaku.models.pretraining.limits import check_limits, check_words

PRECISIONS = ("auto", "bf16-mixed", "32-true")
STRATEGIES = ("auto", "ddp", "fsdp2")
COMPILE = ("auto", "always", "never")


@dataclass(frozen=True)
class TrainingConfig:
    """How long, how exactly and where a network is pretrained."""

    max_steps: int = 10_000
    """Steps of the whole run; the learning rate falls towards the last one."""

    max_minutes: float | None = None
    """Minutes of wall time after which one call stops; the next call goes on. None: no limit."""

    precision: str = "auto"
    """``"bf16-mixed"``: matrix products in bfloat16, weights in float32. ``"32-true"``: float32.
    ``"auto"``: the first where the device is faster at it."""

    compile: str = "auto"
    """``"auto"``: compile blocks where a compiler is there. ``"always"``: or fail. ``"never"``."""

    workers: int = 1
    """Processes that read and compose batches, for each training process."""

    strategy: str = "auto"
    """``"ddp"``: each process has all weights. ``"fsdp2"``: weights are sharded over the processes.
    ``"auto"``: ``"ddp"`` where there are several processes."""

    devices: int | None = None
    """Processes on each machine; None: one per GPU, and one on a machine without."""

    nodes: int = 1
    """Machines."""

    save_minutes: float = 10.0
    """Minutes between saved states: the most that a kill can lose."""

    valid_minutes: float = 30.0
    """Minutes between measurements of held-out losses."""

    valid_micro_batches: int = 4
    """Held-out micro-batches of each source."""

    log_steps: int = 10
    """Steps over which logged losses are averaged."""

    spike_factor: float = 10.0
    """A step whose gradient is this many times longer than the median of the last is skipped."""

    ema_decay: float | None = None
    """Decay of an average of the weights that is validated and kept at the end in their place;
    None keeps none."""

    def __post_init__(self) -> None:
        """Check the settings once, where they are made."""
        check_words(self, {"precision": PRECISIONS, "compile": COMPILE, "strategy": STRATEGIES})
        limits = {
            "max_steps": (1, 10**9),
            "max_minutes": (0.0, 1e7),
            "workers": (0, 256),
            "devices": (1, 1024),
            "nodes": (1, 100_000),
            "save_minutes": (0.0, 1e5),
            "valid_minutes": (0.0, 1e5),
            "valid_micro_batches": (0, 10_000),
            "log_steps": (1, 10**6),
            "spike_factor": (1.5, 1e9),
            "ema_decay": (0.0, 0.999999),
        }
        check_limits(self, limits)
