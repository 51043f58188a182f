"""What a ladder has shown, as data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from kagaku.models.pretraining.scaling_fit import Estimate, Exponent, LawFit
from kagaku.models.pretraining.scaling_plan import Plan
from kagaku.scaling.ladder import TOTAL, RunEnd
from kagaku.scaling.recipe import ScalingRecipe

FORMAT_VERSION = 1
"""Layout of the JSON file; goes up when a reader would have to change."""


@dataclass(frozen=True)
class LeftOut:
    """A run that a fit has not seen, beside what the fit says of it."""

    name: str
    """The run."""

    measured: float
    """Its held-out loss."""

    predicted: Estimate
    """What the fit says."""

    error: Estimate
    """Predicted over measured, less 1."""

    fit: LawFit
    """The fit without it."""


@dataclass(frozen=True)
class Scaling:
    """Everything that a ladder has shown."""

    recipe: ScalingRecipe
    """What was asked."""

    runs: tuple[RunEnd, ...]
    """Where the runs ended."""

    left_out: LeftOut
    """The test of the law."""

    fits: Mapping[str, LawFit]
    """By loss, the law of all runs, the one left out included."""

    errors: Mapping[str, float]
    """By loss, the relative error of a fit without the run that is left out."""

    unfitted: Mapping[str, str]
    """By loss, why it could not be fitted."""

    other_count: str
    """The other way to count parameters."""

    other_fit: LawFit
    """The law of the total with that."""

    slope: Estimate | None
    """Exponent of the total against computing over the frontier; None if that is too short."""

    plans: tuple[Plan, ...]
    """What the larger recipes take."""

    def with_plans(self, plans: tuple[Plan, ...]) -> "Scaling":
        """Return the same with plans."""
        return replace(self, plans=plans)

    @property
    def total(self) -> LawFit:
        """The law of the weighted sum of all losses."""
        return self.fits[TOTAL]

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON file; intervals are at the recipe's confidence."""
        return {
            "format_version": FORMAT_VERSION,
            "name": self.recipe.name,
            "confidence": self.recipe.confidence,
            "parameters_counted": self.recipe.parameters,
            "runs": [_run(one) for one in self.runs],
            "left_out": {
                "name": self.left_out.name,
                "measured": self.left_out.measured,
                "predicted": asdict(self.left_out.predicted),
                "relative_error": asdict(self.left_out.error),
                "law": asdict(self.left_out.fit.law),
            },
            "laws": {
                name: _law(fit) | {"left_out_relative_error": self.errors[name]}
                for name, fit in self.fits.items()
            },
            "not_fitted": dict(self.unfitted),
            "other_count": {"parameters_counted": self.other_count, **_law(self.other_fit)},
            "frontier_slope": None if self.slope is None else asdict(self.slope),
            "assumed": asdict(self.recipe.plan.hardware) | {"epochs": self.recipe.plan.epochs},
            "plans": [asdict(one) for one in self.plans],
        }


def _run(run: RunEnd) -> dict[str, Any]:
    stored = asdict(run)
    return stored | {"flops": run.flops}


def _law(fit: LawFit) -> dict[str, Any]:
    return {
        "law": asdict(fit.law),
        "irreducible": asdict(fit.estimate(lambda law: law.irreducible)),
        "alpha": asdict(fit.estimate(Exponent("alpha"))),
        "beta": asdict(fit.estimate(Exponent("beta"))),
        "compute_exponent": asdict(fit.estimate(lambda law: law.compute_exponent)),
        "size_exponent": asdict(fit.estimate(lambda law: law.size_exponent)),
        "residual": fit.residual,
        "doubts": list(fit.doubts()),
    }
