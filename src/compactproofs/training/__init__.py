"""Training small transformers: on max-of-K, by the recipe of arXiv 2406.11779, on tables of pairs, and toward proofs.

This is the only part of the package that imports PyTorch; it comes with the extra `train`. Nothing here is trusted:
a certificate is checked against the weights, however they came about.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    import safetensors as _safetensors  # noqa: F401
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name not in ("safetensors", "torch"):
        raise
    raise ImportError('training needs PyTorch and safetensors: pip install "compactproofs[train]"') from error

if TYPE_CHECKING:
    from compactproofs.training.recipe import RECIPE, TrainedModel, TrainingConfig, derive_seeds, train_one
    from compactproofs.training.runner import TrainingReport, train
    from compactproofs.training.toward_proof import CHEAPEST, NotTrainable, Tightening, tighten

__all__ = [
    "CHEAPEST",
    "RECIPE",
    "NotTrainable",
    "Tightening",
    "TrainedModel",
    "TrainingConfig",
    "TrainingReport",
    "derive_seeds",
    "tighten",
    "train",
    "train_one",
]

_HOMES = {
    **dict.fromkeys(("TrainingReport", "train"), "runner"),
    **dict.fromkeys(("CHEAPEST", "NotTrainable", "Tightening", "tighten"), "toward_proof"),
}


# A name is imported when it is first used: `pair_sum` runs where there is nothing but PyTorch and safetensors, without
# what the processes of `train` need.
def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'recipe')}"), name)
