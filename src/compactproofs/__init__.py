"""Certified bounds on the accuracy of small transformers, with certificates that anyone can check.

>>> import compactproofs as cp
>>> model = cp.load_model("max-of-4/123")
>>> proof = cp.prove(model, "cubic")
>>> cp.verify(proof.certificate, model).accepted
True
"""

# A name is imported when it is first used.  So a checker does not load the prover, and the command line is there to
# say so where NumPy is not.
from importlib import import_module
from typing import TYPE_CHECKING, Any

from compactproofs.version import __version__

if TYPE_CHECKING:
    from compactproofs import plot as plot
    from compactproofs.api.certify import certify
    from compactproofs.api.frames import frame
    from compactproofs.kernel.certificate import MalformedCertificate
    from compactproofs.kernel.errors import CompactProofsError
    from compactproofs.kernel.library import UnknownStrategy
    from compactproofs.kernel.problem import Strategy
    from compactproofs.networks.weights import InvalidModel
    from compactproofs.opening.models import Model
    from compactproofs.opening.networks import load_decoder, load_network, task_for
    from compactproofs.opening.tables import LabelTable
    from compactproofs.search.allowance import TooMuchWork
    from compactproofs.search.builtin import STRATEGIES
    from compactproofs.search.certificates import Certificate
    from compactproofs.search.choice import Certified
    from compactproofs.search.effort import Verdict, verify
    from compactproofs.search.prover import (
        Infeasible,
        Proof,
        ProofFailed,
        Prover,
        feasible_strategies,
        prove,
        prove_all,
    )
    from compactproofs.zoo import UnknownModel, load_model

__all__ = [
    "STRATEGIES",
    "Certificate",
    "Certified",
    "CompactProofsError",
    "Infeasible",
    "InvalidModel",
    "LabelTable",
    "MalformedCertificate",
    "Model",
    "Proof",
    "ProofFailed",
    "Prover",
    "Strategy",
    "TooMuchWork",
    "UnknownModel",
    "UnknownStrategy",
    "Verdict",
    "__version__",
    "certify",
    "feasible_strategies",
    "frame",
    "load_decoder",
    "load_model",
    "load_network",
    "prove",
    "prove_all",
    "task_for",
    "verify",
]

_MODULES = {
    "api.certify": ("certify",),
    "api.frames": ("frame",),
    "kernel.certificate": ("MalformedCertificate",),
    "kernel.errors": ("CompactProofsError",),
    "kernel.library": ("UnknownStrategy",),
    "kernel.problem": ("Strategy",),
    "networks.weights": ("InvalidModel",),
    "opening.models": ("Model",),
    "opening.networks": ("load_decoder", "load_network", "task_for"),
    "opening.tables": ("LabelTable",),
    "search.allowance": ("TooMuchWork",),
    "search.builtin": ("STRATEGIES",),
    "search.certificates": ("Certificate",),
    "search.choice": ("Certified",),
    "search.effort": ("Verdict", "verify"),
    "search.prover": ("Infeasible", "Proof", "ProofFailed", "Prover", "feasible_strategies", "prove", "prove_all"),
    "zoo": ("UnknownModel", "load_model"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    if name == "plot":  # not among those of `import *`, since it needs more packages
        return import_module(f"{__name__}.plot")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "plot"]
