"""`show`: what a model or a certificate is."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

import compactproofs as cp
from compactproofs import plugins, zoo
from compactproofs.cli.common import JsonOption, in_words
from compactproofs.cli.sampling import SUFFIX
from compactproofs.confidence.claim import MAX_BYTES, ClaimWithConfidence
from compactproofs.kernel.strict import shown
from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.networks.attention_only.model import WEIGHTS
from compactproofs.networks.decoder.model import Decoder
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.opening import notes, pairs
from compactproofs.opening.networks import File
from compactproofs.runs.inputs import load_certificate, open_file
from compactproofs.search.questions import about, reading
from compactproofs.system.files import read_limited
from compactproofs.system.places import STANDARD
from compactproofs.system.terminal import say, say_json
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.theorems import BUILT_IN


def show(
    path: Annotated[
        str,
        typer.Argument(metavar="PATH", help="A certificate, - for one on standard input, a model file, or a zoo name."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Say what a model or certificate contains, without checking any claim."""
    if path.endswith(SUFFIX) and Path(path).is_file():
        try:
            fields, facts = _about_claim(ClaimWithConfidence.from_bytes(read_limited(Path(path), MAX_BYTES)))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    elif path == STANDARD or _is_like_certificate(Path(path)):
        fields, facts = _about_certificate(load_certificate(path))
    else:
        file = open_file(path)
        network = file.network()
        if isinstance(network, PairSum):
            fields, facts = _about_pair_sum(file, network)
        elif isinstance(network, Decoder):
            fields, facts = _about_decoder(*file.decoder())
        else:
            fields, facts = _about_model(path, network)
    if as_json:
        say_json(facts)
        return
    width = max(map(len, fields))
    for name, value in fields.items():
        say(f"  {value}", start=name.ljust(width), style="bold")


def _is_like_certificate(file: Path) -> bool:
    if not file.is_file() or file.suffix == ".safetensors" or file.name.endswith(".index.json"):
        return False
    with file.open("rb") as stream:
        return file.suffix == ".json" or stream.read(1) == b"{"


Described = tuple[dict[str, str], dict[str, Any]]  # in words, and for JSON


def _about_claim(claim: ClaimWithConfidence) -> Described:
    said = {
        "claim with confidence": f"says (untested) that {claim}; no certificate",
        "task": in_words(claim.task),
        "family": claim.family,
        "model": claim.model_sha256,
        "tested by": f"{claim.samples} draws from an urn of {claim.urn}, {claim.theorem}",
        "error": f"a false one passes with a probability of at most 2^-{claim.error_bits}; see verify --confidence",
        "written by": claim.tool,
    }
    numbers = {key: str(getattr(claim, key)) for key in ("claimed", "total", "urn")}
    return said, {"kind": "claim with confidence", **dataclasses.asdict(claim), "task": dict(claim.task), **numbers}


def _about_certificate(certificate: cp.Certificate) -> Described:
    task, hints = certificate.task, certificate.hints
    said = {
        "certificate": f"claims (unchecked) that {certificate}",
        "task": in_words(task),
        "family": certificate.family,
        "model": certificate.model_sha256,
        "strategy": certificate.strategy,
        "theorem": certificate.theorem,
        "tier": _tier(certificate.strategy),
        "hints": "; ".join(f"{name}: {hint.dtype} {hint.shape}" for name, hint in hints.items()) or "none",
        "written by": certificate.tool,
    }
    return said, {
        "kind": "certificate",
        "claim": certificate.claim,
        "certified": str(certificate.certified),
        "total": str(certificate.total),
        "family": certificate.family,
        "task": dict(task),
        "model_sha256": certificate.model_sha256,
        "strategy": certificate.strategy,
        "theorem": certificate.theorem,
        "tier": _tier(certificate.strategy),
        "hints": {name: {"dtype": str(hint.dtype), "shape": list(hint.shape)} for name, hint in hints.items()},
        "tool": certificate.tool,
    }


def _about_decoder(network: Decoder, assumed: dict[str, object]) -> Described:
    sizes = {name: getattr(network, name) for name in ("d_vocab", "d_vocab_out", "n_ctx", "d_model", "d_head", "d_mlp")}
    largest = max(float(abs(tensor).max()) for tensor in network.tensors.values())
    said = {
        "model": about(network),
        "sizes": ", ".join(f"{name} {size}" for name, size in sizes.items()),
        "sha256": network.sha256,
        "largest weight": f"{largest:.4g}",
        "reading": "; ".join(reading(assumed)) or "as the settings in its metadata say",
    }
    return said, {
        "kind": "decoder",
        "n_layers": network.n_layers,
        "n_heads": network.n_heads,
        **sizes,
        "configuration": network.configuration.record,
        "sha256": network.sha256,
        "largest_weight": largest,
        "assumed": {name: str(value) for name, value in assumed.items()},
    }


def _about_pair_sum(file: File, network: PairSum) -> Described:
    sizes = {"arguments": network.n, "neurons": network.neurons, "outputs": network.outputs}
    largest = max(float(abs(tensor).max()) for tensor in network.tensors.values())
    task = pairs.said(file.data).get("task")
    said = {
        "model": about(network),
        "inputs": f"{network.n**2} pairs (x, y)",
        "task": "unknown" if not isinstance(task, str) else f"its file says {shown(task)}",
        "sha256": network.sha256,
        "largest weight": f"{largest:.4g}",
    }
    return said, {
        "kind": "pair-sum",
        "architecture": network.architecture,
        **sizes,
        "task": task if isinstance(task, str) else None,
        "sha256": network.sha256,
        "largest_weight": largest,
    }


def _about_model(name: str, model: cp.Model | ManyHeads) -> Described:
    correct = zoo.known_correct(model)
    inputs = str(max_of_k(model).task.total)
    said = notes.in_full(name, model)
    heads = {"n_heads": model.n_heads} if isinstance(model, ManyHeads) else {}
    biases = [] if isinstance(model, ManyHeads) else list(model.biases)
    largest = max(float(abs(getattr(model, weight)).max()) for weight in (*WEIGHTS, *biases))
    words = {
        "model": f"max of {model.n_ctx}, {model.d_vocab} tokens, d_model {model.d_model}, d_head {model.d_head}"
        + "".join(f", {name} {number}" for name, number in heads.items()),
        **({"biases": f"{', '.join(biases)}; folded into the weights, exactly"} if biases else {}),
        "inputs": inputs,
        "sha256": model.sha256,
        "largest weight": f"{largest:.4g}",
        "accuracy": "unknown" if correct is None else f"{correct} inputs correct (from the zoo's table)",
        **said,
    }
    return words, {
        "kind": "model",
        "n_ctx": model.n_ctx,
        "d_vocab": model.d_vocab,
        "d_model": model.d_model,
        "d_head": model.d_head,
        "biases": biases,
        **heads,
        "inputs": inputs,
        "sha256": model.sha256,
        "largest_weight": largest,
        "correct": None if correct is None else str(correct),
        **said,
    }


def _tier(strategy_id: str) -> str:
    """Whose theorem a certificate says it rests on; no plug-in is imported for that."""
    distribution = plugins.distribution_of(strategy_id)
    if distribution is None:
        known = BUILT_IN.strategies.get(strategy_id)
        return "unknown" if known is None else f"{plugins.built_in().tier(known)} of compactproofs {cp.__version__}"
    return f"plug-in {plugins.found().get(distribution, f'{distribution}, which is not installed')}"
