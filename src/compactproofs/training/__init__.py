"""Training one-layer attention-only transformers on max-of-K by the recipe of arXiv 2406.11779, and toward proofs.

This is the only part of the package that imports PyTorch; it comes with the extra `train`. Nothing here is trusted:
a certificate is checked against the weights, however they came about.
"""

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ImportError('training needs PyTorch, which is not installed: pip install "compactproofs[train]"') from error

from compactproofs.training.recipe import RECIPE, TrainedModel, TrainingConfig, derive_seeds, train_one
from compactproofs.training.runner import TrainingReport, train
from compactproofs.training.tighten import CHEAPEST, NotTrainable, Tightening, tighten

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
