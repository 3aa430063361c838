"""Certified bounds on the accuracy of small transformers, with certificates that anyone can check.

>>> import compactproofs as cp
>>> model = cp.load_model("max-of-4/123")
>>> proof = cp.prove(model, "cubic")
>>> cp.verify(proof.certificate, model).accepted
True
"""

from compactproofs.arrays.cost import TooMuchWork
from compactproofs.certificate import Certificate, MalformedCertificate
from compactproofs.checker import Verdict
from compactproofs.effort import verify
from compactproofs.model import InvalidModel, Model
from compactproofs.prover import Infeasible, Proof, ProofFailed, Prover, feasible_strategies, prove, prove_all
from compactproofs.strategies import STRATEGIES, Strategy, UnknownStrategy
from compactproofs.version import __version__
from compactproofs.zoo import UnknownModel, load_model

__all__ = [
    "STRATEGIES",
    "Certificate",
    "Infeasible",
    "InvalidModel",
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
    "feasible_strategies",
    "load_model",
    "prove",
    "prove_all",
    "verify",
]
