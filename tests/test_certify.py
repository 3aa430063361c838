"""Whatever is called a model, certified; proofs as tables, lines and figures; logging and completion."""

import _thread
import html
import logging
import os
import signal
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import polars as pl
import pytest

import compactproofs as cp
from compactproofs import __main__ as entry
from compactproofs.kernel.library import Library
from compactproofs.search import choice
from compactproofs.search.families import counting
from compactproofs.search.prover import Prover
from compactproofs.system.log import log
from compactproofs.theorems import BUILT_IN
from exactcheck import checking
from soundness.models import working_weights

CASES = Path(__file__).parent / "cases"
ARGMAX = CASES / "argmax3_v10.safetensors"
TWO_HEADS = CASES / "two_heads_max3_v10.safetensors"


@pytest.fixture(scope="module")
def model() -> cp.Model:
    """A small one."""
    return cp.Model(**working_weights(np.random.default_rng(0), 6, 3, 2, sharpness=1.0, noise=0.2))


@pytest.fixture(scope="module")
def certified(model: cp.Model) -> cp.Certified:
    """Its bounds."""
    return cp.certify(model)


def test_bounds_meet(model: cp.Model, certified: cp.Certified) -> None:
    """On a small model the accuracy is found, and the certificate is accepted."""
    assert certified.exact
    assert certified.certificate.certified == Prover(model).exact_correct()
    assert certified.accuracy == float(certified.bound)
    assert cp.verify(certified.certificate, model).accepted
    assert certified.upper is None or cp.verify(certified.upper.certificate, model).accepted
    assert list(certified.proofs) == sorted(certified.proofs, key=lambda proof: proof.rank)


def test_every_kind_of_model(model: cp.Model, certified: cp.Certified, tmp_path: Path) -> None:
    """A path, a state dict of arrays or of tensors, and a network give the same bound; other things are refused."""
    model.save(tmp_path / "model.safetensors")

    class Tensor:
        """What a tensor of PyTorch looks like from outside."""

        def __init__(self, array: Any) -> None:
            self._array = array

        def detach(self) -> Any:
            """It without gradients."""
            return types.SimpleNamespace(cpu=lambda: self._array)

    arrays = model.state_dict()
    tensors = {name: Tensor(array) for name, array in arrays.items()}
    for same in (tmp_path / "model.safetensors", str(tmp_path / "model.safetensors"), arrays, tensors):
        found = cp.certify(same)
        assert found.certificate.certified == certified.certificate.certified
        assert found.network.sha256 == model.sha256
    with pytest.raises(cp.InvalidModel, match="expected a path, a zoo name, a network, a state dict"):
        cp.certify(7)
    with pytest.raises(cp.InvalidModel, match=r"embed\.W_E has type int64; convert it"):
        cp.certify({**arrays, "embed.W_E": np.zeros((6, 4), np.int64)})
    with pytest.raises(cp.UnknownModel):
        cp.certify("max-of-4/124")
    with pytest.raises(ValueError, match="seconds: expected a positive number"):
        cp.certify(model, seconds=0)
    with pytest.raises(cp.InvalidModel, match=r"expected a network, such as load_model .* found str"):
        cp.prove("max-of-4/123", "cubic")  # type: ignore[arg-type]


def test_tasks(model: cp.Model) -> None:
    """A decoder and its task; an attention-only model asked about another one; settings where nothing says them."""
    found = cp.certify(ARGMAX, "argmax")
    assert (found.exact, found.certificate.certified, found.name) == (True, 975, str(ARGMAX))
    heads = cp.load_network(TWO_HEADS)
    assert cp.certify(heads).certificate.certified == cp.certify(TWO_HEADS).certificate.certified == 973
    assert cp.certify(heads, "min").network.n_heads == 2
    other = cp.certify(model, "min")
    assert other.exact
    assert other.certificate.task["name"] == "min-of-k"
    assert cp.certify(model, "first").certificate.strategy == "by-comparison/branch-and-bound"
    assert cp.certify(model, "argmax").certificate.family == "decoder"
    assert cp.certify(model.state_dict(), "min", attention_dir="bidirectional").network.sha256 != other.network.sha256
    with pytest.raises(ValueError, match="this network says itself"):
        cp.certify(model, "min", eps=1.0)
    with pytest.raises(ValueError, match="certify has no such argument; settings of decoders are normalization_type"):
        cp.certify(ARGMAX, "argmax", colour="red")
    with pytest.raises(ValueError, match=r"weights: expected integers, found .*1\.5"):
        cp.certify(model, weights=[1.5] * model.d_vocab)  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"unknown task S5; known: max, .*, sum-mod, table:FILE"):
        cp.certify(model, "S5")
    assert cp.certify(ARGMAX, "argmin").notes[-1].startswith("warning: this model does not seem to do this task")
    trivial = cp.certify("max-of-4/123", "argmax")
    assert (trivial.certificate.strategy, trivial.certificate.certified) == ("decoder/trivial", 0)
    assert trivial.stopped.startswith("it would take a forward pass for each of 64^4 inputs")
    assert "give more" not in trivial.stopped


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Cubic, and whatever comes after it, takes for ever; the event is set when it begins."""
    begun = threading.Event()
    prove = Prover.prove

    def proving(self: Prover, strategy_id: str) -> cp.Proof:
        if strategy_id.endswith("trivial"):
            return prove(self, strategy_id)
        begun.set()
        while True:
            threading.Event().wait(0.01)

    monkeypatch.setattr(Prover, "prove", proving)
    return begun


def test_time_is_up(model: cp.Model, slow: threading.Event) -> None:
    """What was found until then is left, also where the alarm comes in the middle."""
    found = cp.certify(model, seconds=0.2)
    assert [proof.certificate.strategy for proof in found.proofs] == ["trivial"]
    assert found.stopped == "the time was over before cubic was finished"
    assert not found.interrupted
    assert 0.2 <= found.seconds < 10.0
    assert cp.certify(ARGMAX, "argmax", seconds=1e-9).stopped.startswith("the time was over before ")


def test_little_time_for_another_task(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A model that does not seem to do the task is soon given up, with a warning before anything is tried."""
    monkeypatch.setattr(choice, "MOMENT", 0.2)
    found = cp.certify("max-of-4/123", "first")
    assert found.notes[-1].startswith("warning: the label is the first token")
    assert "no more than 0 s, since the model does not seem to do this task; --seconds, seconds= give" in found.stopped
    assert found.short
    assert "does not seem" not in cp.certify("max-of-4/123", "first", seconds=0.1).stopped
    prove, said = Prover.prove, [""]

    def warned(self: Prover, strategy_id: str) -> cp.Proof:
        said[0] += capsys.readouterr().err
        assert said[0].startswith("warning: the label is the first token")
        return prove(self, strategy_id)

    monkeypatch.setattr(Prover, "prove", warned)
    assert entry.run(["prove", "max-of-4/123", "--task", "first"]) == 0
    assert "no more than 0 s" in capsys.readouterr().out
    assert said[0].count("warning") == 1


@pytest.fixture
def heard() -> Iterator[None]:
    """Ctrl-C is not ignored, as it is in what a shell started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
def test_interrupted(model: cp.Model, slow: threading.Event, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C leaves what was found; on the command line it is written, and the exit code is that of Ctrl-C."""

    def interrupt() -> None:
        slow.wait()
        _thread.interrupt_main()

    for call in (lambda: cp.certify(model), lambda: entry.run(["prove", "max-of-4/123"])):
        slow.clear()
        thread = threading.Thread(target=interrupt)
        thread.start()
        found = call()
        thread.join()
        if isinstance(found, cp.Certified):
            assert found.interrupted
            assert found.stopped == "interrupted"
            assert len(found.proofs) == 1
        else:
            assert found == 130
    out, err = capsys.readouterr()
    assert "trivial" in out
    assert err == "interrupted\n"
    slow.clear()
    thread = threading.Thread(target=interrupt)
    thread.start()
    assert cp.certify(ARGMAX, "argmax").stopped == "interrupted"
    thread.join()


def test_what_costs_less_is_still_tried() -> None:
    """Brute force is the quickest where there are few inputs, and not the shortest proof."""
    found = cp.certify(CASES / "s4.safetensors")
    assert (found.accuracy, found.stopped) == (1.0, "the bounds meet")
    by_all = {proof.certificate.strategy: proof.cost.flops for proof in found.proofs if proof.bound == 1}
    assert found.lower.cost.flops == min(by_all.values()) < by_all["pair-sum/brute-force"]


def test_always_something(tmp_path: Path) -> None:
    """The trivial bound is there for every family and task, however little time there is, for both checkers."""
    proof, heads = tmp_path / "p.cert.json", CASES / "two_heads_max3_v10.safetensors"
    cp.load_model("max-of-4/123").save(tmp_path / "one.safetensors")
    for path, options in (
        (tmp_path / "one.safetensors", {"task": "first"}),
        (tmp_path / "one.safetensors", {"task": "kth-largest", "k": 2}),
        (tmp_path / "one.safetensors", {"weights": range(64)}),
        (heads, {"weights": range(10)}),
        (heads, {"task": "parity"}),
        (CASES / "add_23.safetensors", {}),
    ):
        found = cp.certify(path, seconds=1e-9, **options)
        trivial = next(proof for proof in found.proofs if proof.certificate.strategy.endswith("trivial"))
        assert trivial.bound == 0
        trivial.certificate.save(proof)
        assert cp.verify(cp.Certificate.load(proof), found.network).accepted
        assert checking.main([str(proof), str(path)]) == 0, trivial.certificate
        replace(trivial.certificate, certified=1).save(proof)
        assert not cp.verify(cp.Certificate.load(proof), found.network).accepted
        assert checking.main([str(proof), str(path)]) == 1


def test_searches_that_take_long_are_known_to() -> None:
    """Histograms of many inputs take longer than their declared operations do, and less where they are coarser."""
    prover, histogram = cp.Prover(cp.load_model("max-of-10/123")), BUILT_IN.strategy("histogram")
    assert choice.seconds_for(histogram, prover) > choice.PATIENCE
    prover.values.haste = 40.0
    assert choice.seconds_for(histogram, prover) < choice.PATIENCE
    few = cp.Prover(cp.load_model("max-of-4/123"))
    assert choice.seconds_for(histogram, few) < choice.MOMENT
    kept, said = choice.in_patience(cp.Prover(prover.model), ["cubic", "histogram"])
    assert kept == ["cubic"]
    assert any("histogram may take 82 s and was left out" in line for line in said)


def test_what_takes_too_long_is_left_out(model: cp.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what companions declare; so is what needs more memory than there is."""
    monkeypatch.setattr(choice, "seconds_for", lambda strategy, *_: 1e9 * (strategy.id not in ("trivial", "cubic")))
    found = cp.certify(model, seconds=100)
    assert {proof.certificate.strategy for proof in found.proofs} == {"trivial", "cubic"}
    assert "failing-sets may take 1000000000 s; " in found.stopped
    assert found.short
    few = Library.of([BUILT_IN.strategy("failing-sets")], BUILT_IN.tasks)
    with pytest.raises(
        cp.Infeasible, match=r"^nothing was proved in 2 seconds: .* 1000000000 s; give more \(--seconds"
    ):
        choice.certify_within(Prover(model, library=few), 2.0)
    monkeypatch.undo()
    prove = Prover.prove

    def proving(self: Prover, strategy_id: str) -> cp.Proof:
        if strategy_id not in ("trivial", "cubic"):
            raise MemoryError
        return prove(self, strategy_id)

    monkeypatch.setattr(Prover, "prove", proving)
    found = cp.certify(model)
    assert [proof.certificate.strategy for proof in found.proofs] == ["cubic", "trivial"]
    assert "failing-sets needs more memory" in found.stopped
    assert not found.short
    with pytest.raises(cp.Infeasible, match=r"^nothing was proved in 2 seconds: failing-sets needs more memory$"):
        choice.certify_within(Prover(model, library=few), 2.0)
    large = cp.Model(**working_weights(np.random.default_rng(0), 64, 8))
    with pytest.raises(cp.Infeasible, match=r"64\^8 inputs"):
        choice.certify_within(
            Prover(large, library=Library.of([BUILT_IN.strategy("brute-force")], BUILT_IN.tasks)), 2.0
        )


def shown(model: cp.Model, certified: cp.Certified) -> Iterator[Any]:
    """One of everything that shows itself."""
    yield from (
        model,
        cp.load_network(TWO_HEADS),
        cp.load_decoder(ARGMAX),
        certified,
        certified.lower,
        certified.certificate,
    )
    yield cp.verify(certified.certificate, model)


def test_objects_are_a_line(model: cp.Model, certified: cp.Certified) -> None:
    """Each says what it is in a short line, and in a notebook as a table."""
    for each in shown(model, certified):
        line = repr(each)
        assert line.startswith(f"{type(each).__name__}(")
        assert len(line) < 300
        assert "\n" not in line
        assert "array" not in line
        page = each._repr_html_()
        assert page.startswith(f"<table><caption>{type(each).__name__}</caption>")
        assert page.count("<tr>") == page.count("</tr>") == len(each.facts())
    assert repr(model) == (
        f"Model(family=attention-only-1l1h, n_ctx=3, d_vocab=6, d_model={model.d_model}, d_head={model.d_head}, "
        f"sha256={model.sha256[:12]})"
    )


def test_text_from_files_stays_text(model: cp.Model, certified: cp.Certified) -> None:
    """Names in a certificate are shown, and are neither elements of a page nor control characters."""
    evil = "<script>alert('&')</script>\x1b[31m\n"
    fields = {name: getattr(certified.certificate, name) for name in cp.Certificate.__dataclass_fields__}
    certificate = cp.Certificate(
        **{**fields, "strategy": evil, "task": {"name": evil}, "certified": 10**3999, "total": 10**3999}
    )
    page = certificate._repr_html_()
    assert "<script" not in page
    assert html.escape(evil.split("\x1b")[0]) in page
    assert "\x1b" not in page + repr(certificate)
    assert "\n" not in page + repr(certificate)
    assert len(repr(certificate)) < 400
    verdict = cp.verify(certified.certificate, model)
    assert "<b>" not in type(verdict)(False, "<b>no</b>")._repr_html_()


COLUMNS = [
    *("strategy", "bound", "accuracy", "side", "operations", "log2", "seconds", "model", "task", "sha"),
    *("certified", "total"),
]


def test_frame(model: cp.Model, certified: cp.Certified) -> None:
    """A row for each proof, of one, of several, or of what was certified."""
    frame = cp.frame(certified)
    assert frame.columns == COLUMNS
    assert frame.height == len(certified.proofs)
    assert frame["bound"].to_list() == [float(proof.bound) for proof in certified.proofs]
    assert set(frame["side"]) == {"lower", "upper"}
    assert frame["accuracy"].unique().to_list() == [certified.accuracy]
    assert frame["model"].unique().to_list() == [None]
    assert frame["sha"].unique().to_list() == [model.sha256]
    assert cp.frame(certified.lower).height == 1
    assert cp.frame([]).columns == COLUMNS
    zoo = cp.frame(cp.prove_all(cp.load_model("max-of-4/123"), ["trivial", "cubic"]))
    assert zoo["model"].to_list() == ["max-of-4/123"] * 2
    assert zoo["accuracy"].to_list() == [16772438 / 2**24] * 2
    assert zoo["log2"].to_list()[0] is None
    assert zoo.filter(pl.col("side") == "lower").height == 2


def test_frame_without_polars(certified: cp.Certified, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pandas then, and a line that says what to install where that is not there either."""
    monkeypatch.setitem(sys.modules, "polars", None)
    monkeypatch.setitem(sys.modules, "pandas", types.SimpleNamespace(DataFrame=dict))
    assert list(cp.frame(certified)) == COLUMNS
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r'pip install "compactproofs\[report\]"'):
        cp.frame(certified)


def test_figures(model: cp.Model, certified: cp.Certified) -> None:
    """Points where the proofs are, those of a plug-in by its name, on axes of one's own too; the five tables."""
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    own_strategy = replace(certified.lower, certificate=replace(certified.lower.certificate, strategy="own:margin"))
    axes = cp.plot.frontier([certified, own_strategy])
    drawn = sum(np.shape(points.get_offsets())[0] for points in axes.collections)
    assert drawn == 1 + len([proof for proof in certified.proofs if proof.cost.flops])
    assert {"from above", "own:margin"} <= set(axes.get_legend_handles_labels()[1])
    _, own = plt.subplots()
    assert cp.plot.frontier(certified, own) is own
    figure = cp.plot.circuits(model)
    assert [a.get_title() for a in figure.axes if a.get_title()] == ["EU", "EVOU", "PVOU", "EQKE", "EQKP"]
    assert sum(len(a.images) for a in figure.axes) == 5
    plt.close("all")


def test_log(model: cp.Model, certified: cp.Certified, caplog: pytest.LogCaptureFixture) -> None:
    """Search and verification say what they do to whoever listens, and to nobody else."""
    assert any(isinstance(handler, logging.NullHandler) for handler in log.handlers)
    with caplog.at_level(logging.DEBUG, "compactproofs"):
        cp.prove(model, "cubic")
        cp.verify(certified.certificate, model)
    text = caplog.text
    assert "search: cubic begins" in text
    assert "search: cubic, at least" in text
    assert f"verify: {certified.certificate.strategy}, accepted" in text


def test_verbose(model: cp.Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the command line they go to stderr, and the results to stdout as before."""
    path = tmp_path / "model.safetensors"
    model.save(path)
    handlers, level = list(log.handlers), log.level
    try:
        assert entry.run(["prove", str(path), "--strategy", "cubic", "-v", "--out", str(tmp_path / "c.json")]) == 0
        out, err = capsys.readouterr()
        assert "info: search: cubic, at least" in err
        assert "debug" not in err
        assert "info" not in out
        assert entry.run(["verify", "-vv", str(tmp_path / "c.json"), str(path)]) == 0
        assert "debug: verify: cubic may take" in capsys.readouterr().err
    finally:
        log.handlers[:] = handlers
        log.setLevel(level)


def test_best_on_the_command_line(model: cp.Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a strategy: the best bounds, the better one written; a directory is refused before any work."""
    path, target = tmp_path / "model.safetensors", tmp_path / "best.cert.json"
    model.save(path)
    assert entry.run(["prove", str(path), "--seconds", "30", "--out", str(target)]) == 0
    assert "the bounds meet" in capsys.readouterr().out
    assert entry.run(["verify", str(target), str(path)]) == 0
    assert entry.run(["prove", str(path), "--out", str(tmp_path)]) == 2
    assert "name a file for the best certificate" in capsys.readouterr().err
    assert entry.run(["prove", str(path), "--seconds", "3", "--all"]) == 2
    assert "choose one" in capsys.readouterr().err


def completed(words: str, shell: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a shell offers after these words."""
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", words)
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setenv("_COMPACTPROOFS_COMPLETE", f"complete_{shell}")
    assert entry.run([]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(
    shell: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Scripts for shells; commands, models of the zoo, files, strategies and tasks are offered."""
    monkeypatch.setenv("_COMPACTPROOFS_COMPLETE", f"source_{shell}")
    assert entry.run([]) == 0
    assert f"complete_{shell}" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.safetensors").touch()
    for words, offered in (
        ("compactproofs ver", "verify"),
        ("compactproofs prove max-of-4/12", "max-of-4/123"),
        ("compactproofs verify x mi", "mine.safetensors"),
        ("compactproofs prove x --strategy cub", "cubic"),
        ("compactproofs sweep max-of-4/50 max-of-1", "max-of-10-v128"),
        ("compactproofs sweep max-of-4/12", "max-of-4/123"),
        ("compactproofs sweep x --strategy enumerate-", "enumerate-upper"),
        ("compactproofs prove x --task arg", "argmax"),
        ("compactproofs prove x --task ta", "table:"),
    ):
        assert any(offered in line.replace("\\", "") for line in completed(words, shell, capsys, monkeypatch)), words
    monkeypatch.setenv("_COMPACTPROOFS_COMPLETE", "source_tcsh")
    assert entry.run([]) == 2


def test_import_is_light() -> None:
    """`import compactproofs` brings neither NumPy nor logging nor figures; names come when they are used."""
    code = "import sys, compactproofs; print(sorted({'numpy', 'matplotlib', 'logging', 'rich'} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": ""}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert result.stdout == "[]\n"


def test_the_fewer_seconds_the_coarser_the_counts() -> None:
    """So that a minute may do for both sides; without a limit nothing is coarser."""
    model = cp.Model(**working_weights(np.random.default_rng(0), 4, 2, 3))
    coarse = []
    for seconds in (1.0, 60.0, 1e6):
        prover = Prover(model)
        choice.certify_within(prover, seconds)
        coarse.append(counting.worth_of(prover.values) / counting.worth_of(Prover(model).values))
    assert coarse[0] > coarse[1] > coarse[2] == 1.0
