"""Training networks that answer with the entry of a table for two tokens: modular addition, products in groups.

Every network here is a *pair sum*: a token x in the first place and a token y in the second add up to the neurons'
inputs, and the logits are

    f(x, y) = (direct_x[x] + direct_y[y]) + bias + ReLU(left[x] + right[y]) out.

It is trained in its own parameters and evaluated in this form. Two recipes:

- `add-p` is addition modulo p, learned by a transformer of one layer whose attention pattern is constantly one half and
  one half. Recipe: that of `PIZZA_CONFIG` of github.com/JasonGross/guarantees-based-mechanistic-interpretability.
- `Sn`, `An`, `Dn`, `Fn`, `Cn` are products in the symmetric, alternating, dihedral (of order 2n), Frobenius (of order
  n(n-1), n prime) and cyclic groups, learned by a perceptron with one hidden layer. Recipe: that of arXiv 2410.07476,
  with a bias on the logits.

All seeds of a task are trained at once, as one batch of parameters with a leading axis of seeds. Each has first weights
and training pairs of its own and no seed influences another, but sums may be rounded differently in another batch: over
thousands of epochs seeds agree in distribution, not to the bit, with what other machines, batches or programs make.

Shapes use S for seeds, n for tokens, P for parameters of one seed, B for training pairs, m for neurons.
"""

import math
import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load as load_bytes

from compactproofs.system.files import write_atomically
from compactproofs.tasks.pairs import add_mod, products
from compactproofs.training.files import metadata_of, to_bytes
from compactproofs.training.recipe import derive_seeds
from compactproofs.version import __version__

FAMILY = "pair-sum"
CHECKPOINT = "unfinished.checkpoint"
"""The file, beside the models, from which a run that was stopped goes on."""

_BETAS = (0.9, 0.98)
_EPSILON = 1e-8
_SUMS = re.compile(r"(?:add-|C)([1-9][0-9]{0,3})", re.ASCII)
_TO_GRAPH = 4  # epochs that it takes to make an epoch a graph
_LATE = 20  # no graph before this epoch: a replay is compared with a step, and the first steps are erratic

Weights = dict[str, torch.Tensor]


# --- tasks ---


def table(task: str) -> npt.NDArray[np.int64]:
    """The table of a task: entry (x, y) is the right answer for x and y; groups are those of `tasks.pairs`.

    Raises ValueError for no known task, and for one with too many tokens.

    >>> table("D3")[1].tolist()
    [1, 2, 0, 4, 5, 3]
    """
    sums = _SUMS.fullmatch(task)
    try:
        return add_mod(int(sums[1])).table.copy() if sums else products(task)
    except ValueError as error:
        raise ValueError(f"task: expected add-N or CN, or a group SN, AN, DN or FN, got {task!r}: {error}") from error


# --- recipes ---


@dataclass(frozen=True, slots=True)
class PairConfig:
    """What is trained, how large and how long; `config_for` has the recipe's choices.

    `width` is the dimension of an embedding, `neurons` that of the hidden layer, `heads` the number of attention heads
    (1 where there is no attention) and `fraction` the part of all pairs that is trained on.
    """

    task: str
    epochs: int
    width: int
    neurons: int
    heads: int
    fraction: float

    def __post_init__(self) -> None:
        """Raise ValueError for a task that is not known and for a field that is not a usable number."""
        table(self.task)
        for name in ("epochs", "width", "neurons", "heads"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(f"PairConfig.{name}: expected an integer of at least 1, got {value!r}")
        if self.width % self.heads:
            raise ValueError(f"PairConfig.heads: {self.heads} heads cannot share a width of {self.width}")
        if type(self.fraction) not in (int, float) or not 0 < self.fraction <= 1:
            raise ValueError(f"PairConfig.fraction: expected a number above 0 and at most 1, got {self.fraction!r}")
        object.__setattr__(self, "fraction", float(self.fraction))

    def as_dict(self) -> dict[str, str | int | float]:
        """All fields by name, in the order of their definition."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class Form:
    """Networks as pair sums: `rows` holds left over right (S, 2n, m), `direct` likewise (S, 2n, n), if there is one."""

    rows: torch.Tensor
    direct: torch.Tensor | None
    out: torch.Tensor  # (S, m, n)
    bias: torch.Tensor  # (S, 1, n)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one architecture is made and trained, by Adam on all training pairs at once."""

    name: str
    defaults: dict[str, Any]
    rate: float
    decay: float
    decoupled: bool  # decay as in AdamW, beside the gradient and not in it
    spared: tuple[str, ...]  # parameters that do not decay
    warmup: int  # epochs, in the first of which the rate is zero
    loss_type: torch.dtype
    first: Callable[[PairConfig, int, torch.Generator], Weights]
    fixed: Callable[[PairConfig, int], Weights]  # parameters that are not trained
    form: Callable[[Weights], Form]


def _transformer(config: PairConfig, n: int, generator: torch.Generator) -> Weights:
    """Normal weights with standard deviation 0.8/√d, drawn in the order of TransformerLens; biases are zero."""
    d, m, h = config.width, config.neurons, config.heads
    shapes = {
        "embed.W_E": (n, d),
        "pos_embed.W_pos": (2, d),
        "blocks.0.attn.W_Q": (h, d, d // h),
        "blocks.0.attn.W_K": (h, d, d // h),
        "blocks.0.attn.W_V": (h, d, d // h),
        "blocks.0.attn.W_O": (h, d // h, d),
        "blocks.0.mlp.W_in": (d, m),
        "blocks.0.mlp.W_out": (m, d),
        "unembed.W_U": (d, n),
    }
    drawn = {
        name: torch.empty(shape).normal_(std=0.8 / math.sqrt(d), generator=generator) for name, shape in shapes.items()
    }
    return drawn | {"blocks.0.mlp.b_in": torch.zeros(m), "blocks.0.mlp.b_out": torch.zeros(d)}


def _zero_biases(config: PairConfig, n: int) -> Weights:
    d, h = config.width, config.heads
    attention = {f"blocks.0.attn.b_{letter}": torch.zeros(h, d // h) for letter in "QKV"}
    return attention | {"blocks.0.attn.b_O": torch.zeros(d), "unembed.b_U": torch.zeros(n)}


def _transformer_form(weights: Weights) -> Form:
    """Both places get half of the attention of the last one, and only the last one has a residual stream that counts.

    So queries and keys play no part: they only decay, as they do in the recipe.
    """
    embed, places, unembed = weights["embed.W_E"], weights["pos_embed.W_pos"], weights["unembed.W_U"]
    values = weights["blocks.0.attn.W_V"].transpose(1, 2).flatten(2)  # (S, d, heads · d_head)
    moved = values @ weights["blocks.0.attn.W_O"].flatten(1, 2)  # (S, d, d)
    first, last = embed + places[:, :1], embed + places[:, 1:]
    streams = torch.cat([0.5 * first @ moved, last + 0.5 * last @ moved], dim=1)  # (S, 2n, d)
    n, into = embed.shape[1], weights["blocks.0.mlp.W_in"]
    rows = streams @ into
    rows = torch.cat([rows[:, :n], rows[:, n:] + weights["blocks.0.mlp.b_in"][:, None]], dim=1)
    bias = weights["blocks.0.mlp.b_out"][:, None] @ unembed
    return Form(rows, streams @ unembed, weights["blocks.0.mlp.W_out"] @ unembed, bias)


def _perceptron(config: PairConfig, n: int, generator: torch.Generator) -> Weights:
    """Normal embeddings; matrices and the bias are uniform within one over the square root of the inputs' number."""
    e, m = config.width, config.neurons

    def uniform(*shape: int, inputs: int) -> torch.Tensor:
        bound = 1 / math.sqrt(inputs)
        return torch.empty(shape).uniform_(-bound, bound, generator=generator)

    return {
        "W_x": torch.empty(n, e).normal_(generator=generator),
        "W_y": torch.empty(n, e).normal_(generator=generator),
        "W": uniform(2 * e, m, inputs=2 * e),
        "W_U": uniform(m, n, inputs=m),
        "b": uniform(n, inputs=m),
    }


def _perceptron_form(weights: Weights) -> Form:
    e = weights["W_x"].shape[2]
    rows = torch.cat([weights["W_x"] @ weights["W"][:, :e], weights["W_y"] @ weights["W"][:, e:]], dim=1)
    return Form(rows, None, weights["W_U"], weights["b"][:, None])


ADDITION = Recipe(
    name="modular addition with constant attention, PIZZA_CONFIG of gbmi",
    defaults={"epochs": 10_000, "width": 128, "neurons": 512, "heads": 4, "fraction": 0.8},
    rate=1e-3,
    decay=1.0,
    decoupled=True,
    spared=(),
    warmup=10,
    loss_type=torch.float64,
    first=_transformer,
    fixed=_zero_biases,
    form=_transformer_form,
)
GROUP = Recipe(
    name="products in a group of arXiv 2410.07476",
    defaults={"epochs": 25_000, "width": 256, "neurons": 128, "heads": 1, "fraction": 0.4},
    rate=1e-2,
    decay=2e-4,
    decoupled=False,
    spared=("b",),
    warmup=0,
    loss_type=torch.float32,
    first=_perceptron,
    fixed=lambda config, n: {},
    form=_perceptron_form,
)
"""The recipes. Their names are recorded in every model file: a change that alters the weights needs a new name."""


def recipe_of(task: str) -> Recipe:
    """The recipe by which a task is learned."""
    return ADDITION if task.startswith("add-") else GROUP


def config_for(task: str, **changes: Any) -> PairConfig:
    """The recipe's choices for a task, with changes to them; those that are None change nothing."""
    return PairConfig(task, **recipe_of(task).defaults | {name: v for name, v in changes.items() if v is not None})


def training_pairs(config: PairConfig, seed: int) -> npt.NDArray[np.int64]:
    """The pairs that a seed is trained on, x·n + y each, in the order of its own random permutation of all pairs."""
    pairs = len(table(config.task)) ** 2
    _, dataset_seed, _ = derive_seeds(seed)
    return np.random.default_rng(dataset_seed).permutation(pairs)[: max(1, int(config.fraction * pairs))]


def logits(form: Form, chosen: torch.Tensor) -> torch.Tensor:
    """The logits (S, B, n) for pairs that are chosen by matrices of zeros and ones, (S, B, 2n).

    A product with such a matrix is a look-up without rounding, and its gradient is a product too: sums in one order,
    where look-ups on a GPU add in any.
    """
    answers = torch.baddbmm(form.bias, torch.relu(chosen @ form.rows), form.out)
    return answers if form.direct is None else answers + chosen @ form.direct


# --- training ---


@dataclass(frozen=True, slots=True)
class Measured:
    """What a network does, in float64: the loss on its training pairs, how often it is right, and its least margin.

    An answer is right if its logit is above all others; the margin is by how much, over all pairs.
    """

    loss: float
    train_accuracy: float
    test_accuracy: float
    least_margin: float


class Batch:
    """Networks of one task and several seeds, and the state of their optimiser."""

    def __init__(self, config: PairConfig, seeds: list[int], device: str) -> None:
        """First weights and training pairs of each seed, on a device."""
        self.config, self.seeds, self.recipe = config, seeds, recipe_of(config.task)
        self.table = torch.from_numpy(table(config.task))
        n = len(self.table)
        drawn = []
        for seed in seeds:
            generator = torch.Generator().manual_seed(derive_seeds(seed)[0])
            drawn.append(self.recipe.first(config, n, generator))
        self.shapes = {name: value.shape for name, value in drawn[0].items()}
        flat = torch.stack([torch.cat([value.flatten() for value in weights.values()]) for weights in drawn])
        spared = [torch.full((value.numel(),), name not in self.recipe.spared) for name, value in drawn[0].items()]
        self.decay = (torch.cat(spared) * self.recipe.decay).to(device)

        #: All that a checkpoint holds: parameters (S, P), the two moments of their gradients, and epochs done.
        self.parameters = flat.to(device).requires_grad_()
        self.mean, self.square = torch.zeros_like(flat, device=device), torch.zeros_like(flat, device=device)
        self.epoch = torch.zeros((), dtype=torch.float64, device=device)

        self.pairs = torch.from_numpy(np.stack([training_pairs(config, seed) for seed in seeds]))
        self.labels = self.table.flatten()[self.pairs].flatten().to(device)
        places = torch.stack([self.pairs // n, n + self.pairs % n], dim=2)  # (S, B, 2)
        self.chosen = torch.zeros(*self.pairs.shape, 2 * n).scatter_(2, places, 1.0).to(device)

    def weights(self) -> Weights:
        """The parameters by name, each (S, …)."""
        parts = self.parameters.split([shape.numel() for shape in self.shapes.values()], dim=1)
        return {name: part.unflatten(1, shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}

    def state(self) -> dict[str, torch.Tensor]:
        """The tensors that training changes."""
        return {
            "parameters": self.parameters.detach(),
            "mean": self.mean,
            "square": self.square,
            "epoch": self.epoch,
        }

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Put an earlier state back."""
        for name, value in self.state().items():
            value.copy_(state[name])

    def step(self) -> None:
        """One epoch of all seeds: Adam of arXiv 1412.6980, with decay as in it or beside it (arXiv 1711.05101)."""
        answers = logits(self.recipe.form(self.weights()), self.chosen).flatten(0, 1).to(self.recipe.loss_type)
        losses = torch.nn.functional.cross_entropy(answers, self.labels, reduction="none")
        (gradient,) = torch.autograd.grad(losses.sum() / self.pairs.shape[1], self.parameters)
        with torch.no_grad():
            rate = self.recipe.rate
            if self.recipe.warmup:
                rate = rate * (self.epoch / self.recipe.warmup).clamp(max=1)
            self.epoch += 1
            if self.recipe.decoupled:
                self.parameters.mul_(1 - rate * self.decay)
            else:
                gradient.addcmul_(self.parameters, self.decay)
            self.mean.lerp_(gradient, 1 - _BETAS[0])
            self.square.mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
            mean_part, square_part = (-torch.expm1(self.epoch * math.log(beta)) for beta in _BETAS)  # 1 - β^epoch
            change = self.mean / (self.square / square_part).sqrt_().add_(_EPSILON)
            self.parameters.sub_(change.mul_(rate / mean_part))

    def measure(self) -> list[Measured]:
        """What each network does now."""
        with torch.no_grad():
            return self._measured()

    def _measured(self) -> list[Measured]:
        form = self.recipe.form({name: value.double() for name, value in self.weights().items()})
        labels, n, found = self.table.flatten().to(self.labels.device)[:, None], len(self.table), []
        for s in range(len(self.seeds)):
            neurons = torch.relu(form.rows[s, :n, None] + form.rows[s, None, n:])  # (n, n, m)
            answers = neurons @ form.out[s] + form.bias[s]
            if form.direct is not None:
                answers += form.direct[s, :n, None] + form.direct[s, None, n:]
            answers = answers.flatten(0, 1)  # (n², n)
            trained = self.pairs[s].to(answers.device)
            loss = torch.nn.functional.cross_entropy(answers[trained], labels[trained, 0])
            margins = answers.gather(1, labels)[:, 0] - answers.scatter(1, labels, -math.inf).amax(1)
            right = (margins > 0).double()
            others = n * n - len(trained)
            on_trained = right[trained].sum()
            found.append(
                Measured(
                    loss=loss.item(),
                    train_accuracy=on_trained.item() / len(trained),
                    test_accuracy=(right.sum() - on_trained).item() / others if others else math.nan,
                    least_margin=margins.amin().item(),
                )
            )
        return found


def _graphed(batch: Batch, tell: Callable[[str], None]) -> Callable[[], object]:
    """One epoch as a graph of kernels that the GPU goes through on its own; `batch.step` where that does not work.

    A replay is compared with a step from the same state, so that `_TO_GRAPH` epochs are done afterwards.
    """
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # the libraries set themselves up before the capture, and on another stream
        for _ in range(_TO_GRAPH - 1):
            batch.step()
    torch.cuda.current_stream().wait_stream(stream)
    before = {name: value.clone() for name, value in batch.state().items()}
    try:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            batch.step()
        batch.step()
        stepped = {name: value.clone() for name, value in batch.state().items()}
        batch.restore(before)
        graph.replay()
        replayed = batch.state()
        moved = (stepped["parameters"] - before["parameters"]).abs().mean().item()
        apart = (stepped["parameters"] - replayed["parameters"]).abs().mean().item()
        if replayed["epoch"].item() != stepped["epoch"].item() or not apart <= 1e-2 * moved:
            raise RuntimeError(f"a replayed epoch is {apart:.2g} away from one that moved by {moved:.2g}")
    except RuntimeError as error:
        tell(f"{batch.config.task}: no CUDA graph: {str(error).partition(chr(10))[0]}")
        torch.cuda.synchronize()
        batch.restore(before)
        batch.step()
        return batch.step
    return lambda: graph.replay()


# --- runs ---


@dataclass(frozen=True, slots=True)
class PairReport:
    """What a run did: files it wrote, finished ones that were there, epochs done, seconds, and measurements on the way.

    `history` has (epochs, seconds of this run, one measurement for each seed).
    """

    trained: tuple[Path, ...]
    skipped: tuple[Path, ...]
    epochs: int
    seconds: float
    history: tuple[tuple[int, float, tuple[Measured, ...]], ...]


def train_pairs(
    config: PairConfig,
    seeds: Iterable[int],
    out_dir: str | os.PathLike[str],
    *,
    device: str = "cpu",
    graph: bool = True,
    every: int = 1000,
    seconds: float = math.inf,
    tell: Callable[[str], None] = lambda line: None,
) -> PairReport:
    """Train the networks of several seeds at once and write each to `out_dir/<seed>.safetensors`, in float32.

    After each `every` epochs the networks are measured, and their state is written to a checkpoint, from which a later
    call goes on; finished seeds are skipped. After `seconds` a run stops: its files then hold what it has, with the
    number of epochs, and a later call with more time takes up the checkpoint and replaces them. On a GPU an epoch is
    one graph of kernels, unless `graph` is false or that fails; `tell` gets lines about progress.

    The metadata entry of each file is a JSON object with family, task, seed, recipe, config, epochs, final loss and
    accuracies, and the version of this package. Raises ValueError for unusable arguments and where a file in `out_dir`
    holds something else than it should.
    """
    began, directory, wanted = time.monotonic(), Path(out_dir), list(seeds)
    for seed in wanted:
        derive_seeds(seed)
    if len(set(wanted)) != len(wanted):
        raise ValueError(
            f"seeds: each seed may be named once, repeated: {sorted({s for s in wanted if wanted.count(s) > 1})}"
        )
    if type(every) is not int or every < 1:
        raise ValueError(f"every: expected an integer of at least 1, got {every!r}")
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"out_dir: {directory} is a file, expected a directory")
    if device != "cpu" and not (device.partition(":")[0] == "cuda" and torch.cuda.is_available()):
        raise ValueError(f"device: expected cpu, or cuda where PyTorch finds a GPU, got {device!r}")

    paths = {seed: directory / f"{seed}.safetensors" for seed in wanted}
    missing = [seed for seed in wanted if not _is_finished(paths[seed], config, seed)]
    skipped = tuple(paths[seed] for seed in wanted if seed not in missing)
    if not missing:
        return PairReport((), skipped, config.epochs, 0.0, ())
    directory.mkdir(parents=True, exist_ok=True)
    checkpoint = directory / CHECKPOINT
    batch = Batch(config, missing, device)
    done = _resumed(checkpoint, batch)
    history = []
    step: Callable[[], object] = batch.step
    graph = graph and device != "cpu"
    while True:
        aim = min(config.epochs, (done // every + 1) * every)
        while done < aim:
            if graph and _LATE <= done <= aim - _TO_GRAPH:
                step, graph = _graphed(batch, tell), False
                done += _TO_GRAPH
            else:
                step()
                done += 1
        found = batch.measure()
        history.append((done, time.monotonic() - began, tuple(found)))
        tell(_line(config, done, time.monotonic() - began, found))
        if done == config.epochs:
            break
        write_atomically(checkpoint, _checkpoint_bytes(batch, done))
        if time.monotonic() - began > seconds:
            break
    for s, seed in enumerate(missing):
        write_atomically(paths[seed], _model_bytes(batch, s, done, found[s]))
    if done == config.epochs:
        checkpoint.unlink(missing_ok=True)
    return PairReport(tuple(paths[seed] for seed in missing), skipped, done, time.monotonic() - began, tuple(history))


def _notes(config: PairConfig) -> dict[str, Any]:
    """What files and checkpoints of a task have in common."""
    return {"family": FAMILY, "task": config.task, "recipe": recipe_of(config.task).name, "config": config.as_dict()}


def _is_finished(path: Path, config: PairConfig, seed: int) -> bool:
    about = metadata_of(path, {**_notes(config), "seed": seed})
    return about is not None and about.get("epochs") == config.epochs


def _model_bytes(batch: Batch, s: int, epochs: int, found: Measured) -> bytes:
    about = {
        **_notes(batch.config),
        "seed": batch.seeds[s],
        "epochs": epochs,
        "final_loss": found.loss,
        "train_accuracy": found.train_accuracy,
        "test_accuracy": found.test_accuracy,
        "least_margin": found.least_margin,
        "version": __version__,
    }
    weights = {name: value[s].detach() for name, value in batch.weights().items()}
    weights |= batch.recipe.fixed(batch.config, len(batch.table))
    return to_bytes({name: np.ascontiguousarray(value.cpu().numpy()) for name, value in weights.items()}, about)


def _checkpoint_bytes(batch: Batch, done: int) -> bytes:
    about = {**_notes(batch.config), "seeds": batch.seeds, "epochs": done}
    return to_bytes({name: value.cpu().numpy() for name, value in batch.state().items()}, about)


def _resumed(path: Path, batch: Batch) -> int:
    """Take up the seeds of a batch from a checkpoint, if there is one; the number of epochs done."""
    about = metadata_of(path, _notes(batch.config))
    if about is None:
        return 0
    if missing := sorted(set(batch.seeds) - set(about["seeds"])):
        raise ValueError(f"{path} is of seeds {about['seeds']}, without {missing}; train those first, or delete it")
    rows = [about["seeds"].index(seed) for seed in batch.seeds]
    saved = {name: torch.from_numpy(value) for name, value in load_bytes(path.read_bytes()).items()}
    batch.restore({name: value[rows] if value.ndim else value for name, value in saved.items()})
    return int(about["epochs"])


def _line(config: PairConfig, done: int, seconds: float, found: list[Measured]) -> str:
    test = sorted(each.test_accuracy for each in found)
    perfect = sum(each.least_margin > 0 for each in found)
    return (
        f"{config.task}: {done} of {config.epochs} epochs in {seconds:.0f} s, right on all pairs: {perfect} of "
        f"{len(found)}, on pairs not trained on {test[0]:.4f} to {test[-1]:.4f}, "
        f"loss {min(each.loss for each in found):.2g} to {max(each.loss for each in found):.2g}"
    )
