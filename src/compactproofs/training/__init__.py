"""Training one-layer attention-only transformers on max-of-K with the recipe of arXiv 2406.11779.

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

__all__ = [
    "RECIPE",
    "TrainedModel",
    "TrainingConfig",
    "TrainingReport",
    "derive_seeds",
    "train",
    "train_one",
]
