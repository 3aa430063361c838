"""Plug-ins: other people's networks, tasks and strategies are found, named and trusted by whoever says so.

What is built in never changes, and needs none of them.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import compactproofs as cp
import compactproofs_min_of_k
from compactproofs import plugins
from compactproofs.plugins import UnusablePlugin
from compactproofs.search.builtin import STRATEGIES
from compactproofs.tasks.max_of_k import MaxOfK
from compactproofs.theorems import BUILT_IN
from soundness.models import working_weights
from test_cli import Result, Run, in_this_process, one_error_line
from test_trusted import ROOT, imports, trusted_modules

NAME = "max-of-4/123"
EXAMPLE = "compactproofs-min-of-k"
BRUTE_FORCE = f"{EXAMPLE}:brute-force"

#: A plug-in with a network, a task and a strategy of its own: how many bytes of a file are not zero?
TOY = """
import hashlib
from dataclasses import dataclass
import numpy as np
from compactproofs.kernel.decisions import certainly_positive
from compactproofs.kernel.problem import Strategy
from compactproofs.plugins import Companion, Plugin

class Bytes:
    family = "toy:bytes"
    def __init__(self, data):
        if not data.startswith(b"toy"):
            raise ValueError("it does not begin with the word toy")
        self.data, self.sha256 = data[3:], hashlib.sha256(data).hexdigest()
    def weight(self, name):
        return np.frombuffer(self.data, np.uint8).astype(np.float64)

@dataclass(frozen=True)
class NotZero:
    total: int
    @property
    def record(self):
        return {"name": "toy:not-zero", "total": self.total}
    @classmethod
    def of_record(cls, record):
        return cls(record["total"])
    def misfit(self, network):
        return None if len(network.data) == self.total else "other bytes"

COUNT = Strategy(
    id="toy:count",
    theorem="toy:count@1",
    family=Bytes.family,
    tasks=("toy:not-zero",),
    bound=lambda work, hints: int(certainly_positive(work.weight("all")).sum()),
)
PLUGIN = Plugin(
    strategies=(COUNT,),
    tasks={"toy:not-zero": NotZero.of_record},
    networks={Bytes.family: Bytes},
    companions={COUNT.id: Companion(task=lambda network: NotZero(len(network.data)), summary="counts bytes")},
)
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs in an empty directory of its own, with a wide terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process."""
    return in_this_process(capsys)


Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a distribution with one module on the path, as an installer does."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    before = set(sys.modules)

    def put(name: str, code: str, entries: str | None = None, module: str = "") -> Path:
        module = module or name.replace("-", "_").lower()
        (site / f"{module}.py").write_text(code)
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        said = f"it = {module}:PLUGIN" if entries is None else entries
        (info / "entry_points.txt").write_text(f"[{plugins.GROUP}]\n{said}\n")
        importlib.invalidate_caches()
        plugins._loaded.cache_clear()
        return site

    yield put
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(site) in str(sys.modules[name].__file__):
            del sys.modules[name]
    plugins._loaded.cache_clear()


def apart(*words: object, site: Path | None = None) -> Result:
    """The command line in a process of its own."""
    more = {} if site is None else {"PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-m", "compactproofs", *map(str, words)], capture_output=True, text=True, env=os.environ | more
    )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def certificate() -> Path:
    """By a built-in strategy."""
    cp.prove(cp.load_model(NAME), "cubic").certificate.save("cubic.cert.json")
    return Path("cubic.cert.json")


@pytest.fixture
def smallest() -> tuple[Path, Path]:
    """A model that names the smallest of its tokens, and a certificate by the example among plug-ins."""
    weights = working_weights(np.random.default_rng(0), 5, 3, 2, sharpness=1.0, noise=0.2)
    # The model of the largest token with its tokens in reverse order.
    mirrored = {**weights, "W_E": weights["W_E"][::-1], "W_U": weights["W_U"][:, ::-1]}
    model = cp.Model(**mirrored)
    model.save("min.safetensors")
    plugins.Provers(model).of(BRUTE_FORCE).prove(BRUTE_FORCE).certificate.save("min.cert.json")
    return Path("min.cert.json"), Path("min.safetensors")


# The example, as it is used


def test_the_example(smallest: tuple[Path, Path]) -> None:
    """Proved, checked without trust and with it, each in a process of its own."""
    _, model = smallest
    proved = apart("prove", model, "--strategy", BRUTE_FORCE, "--out", "out.cert.json")
    source = plugins.collection(BRUTE_FORCE).source
    condition = f"proved only if you trust {EXAMPLE} 0.1.0 (source sha256 {source.sha256}): give --trust {EXAMPLE}"
    assert (proved.code, proved.err) == (0, f"note: {BRUTE_FORCE} is {condition}\n")
    certified = cp.Certificate.load("out.cert.json").certified
    assert 10 < certified < 125
    claim = f"at least {certified} of 125 inputs are answered correctly"
    assert apart("verify", "out.cert.json", model) == Result(2, f"conditional: {claim}, {condition}\n", "")
    whose = f"plug-in of {EXAMPLE} 0.1.0, source {source.sha256[:12]}"
    accepted = apart("verify", "out.cert.json", model, "--trust", "Compactproofs_Min.of--K")
    assert accepted == Result(0, f"accepted: {claim}; {whose}\n", "")


def test_a_verdict_names_its_source(run: Run, smallest: tuple[Path, Path]) -> None:
    """As JSON, whether trusted or not; and what is rejected needs no trust."""
    certificate, model = smallest
    source = plugins.collection(BRUTE_FORCE).source
    for words, code, outcome in (((), 2, "conditional"), (("--trust", EXAMPLE), 0, "accepted")):
        result = run("verify", certificate, model, "--json", *words)
        verdict = json.loads(result.out)
        assert (result.code, verdict["outcome"]) == (code, outcome)
        assert (verdict["tier"], verdict["distribution"], verdict["version"]) == ("plug-in", EXAMPLE, "0.1.0")
        assert verdict["source_sha256"] == source.sha256
    fields = json.loads(certificate.read_text())
    certificate.write_text(json.dumps(fields | {"certified": "125"}))
    assert run("verify", certificate, model).code == 1
    certificate.write_text(json.dumps(fields | {"strategy": f"{EXAMPLE}:brute-forse"}))
    result = run("verify", certificate, model, "--trust", EXAMPLE)
    assert (result.code, result.out.count("\n")) == (2, 1)
    assert f"malformed: strategy: unknown strategy '{EXAMPLE}:brute-forse'; did you mean {BRUTE_FORCE}" in result.out


def test_show_imports_nothing(run: Run, install: Install, certificate: Path) -> None:
    """It says what the certificate names, and whether that is installed."""
    install("toy", TOY)
    fields = json.loads(certificate.read_text())
    for distribution, tier in (("toy", "plug-in toy 1.0"), ("nobody", "plug-in nobody, which is not installed")):
        certificate.write_text(json.dumps(fields | {"strategy": f"{distribution}:count"}))
        assert f" {tier}\n" in run("show", certificate).out
        assert json.loads(run("show", certificate, "--json").out)["tier"] == tier
    assert "toy" not in sys.modules


def test_sources_are_hashed(tmp_path: Path) -> None:
    """By the rule in docs/plugins.md: of the package's files without what Python compiled; any change shows."""
    folder = Path(compactproofs_min_of_k.__file__).parent

    def by_the_rule(files: dict[str, bytes]) -> str:
        return hashlib.sha256(
            b"".join(b"%s %d\n%s" % (n.encode(), len(d), d) for n, d in sorted(files.items()))
        ).hexdigest()

    of_example = {f"{folder.name}/{file.name}": file.read_bytes() for file in folder.iterdir() if file.is_file()}
    assert plugins.collection(BRUTE_FORCE).source.sha256 == by_the_rule(of_example)
    trusted = {file.relative_to(ROOT).as_posix(): file.read_bytes() for file in trusted_modules(ROOT).values()}
    assert plugins.built_in().source.sha256 == by_the_rule(trusted)
    assert by_the_rule(of_example | {f"{folder.name}/more": b""}) != by_the_rule(of_example)


# Nothing built in needs a plug-in, or changes by one

HOSTILE = """
import pathlib, sys
pathlib.Path("imported").touch()
print("imported")
from compactproofs.kernel import checker
checker.verify = lambda certificate, *others, **more: checker.Verdict(True, str(certificate), 5)
raise RuntimeError("not \\n today")
"""


def test_built_in_certificates_import_no_plugin(run: Run, install: Install, certificate: Path) -> None:
    """One that prints, changes the checker and raises when it is imported, is not imported."""
    words = ("verify", certificate, NAME)
    expected = run(*words)
    site = install("hostile", HOSTILE)
    assert apart(*words, site=site) == run(*words) == expected
    assert run("prove", NAME, "--strategy", "trivial").code == 0
    listed = run("strategies")
    assert (listed.code, listed.err) == (0, "")
    assert "plug-ins, not imported: compactproofs-min-of-k 0.1.0, hostile 1.0; " in listed.out
    assert not Path("imported").exists()


def test_unusable_plugins_are_listed(run: Run, install: Install) -> None:
    """With one line why, on stdout; what the import prints is not there."""
    install("hostile", "print('imported'); raise RuntimeError('not \\n today')")
    why = "the plug-in hostile 1.0 is unusable: hostile:PLUGIN cannot be imported (RuntimeError: not today)"
    listed = run("strategies", "--plugins")
    assert (listed.code, listed.err) == (0, "imported\n")
    assert listed.out.endswith(f"\n{why}\n")
    assert f"  {BRUTE_FORCE} " in listed.out
    rows = json.loads(run("strategies", "--plugins", "--json").out)
    assert rows[-1] == {"distribution": "hostile", "unusable": why}
    assert [row.get("id") for row in rows] == [*BUILT_IN.strategies, BRUTE_FORCE, None]
    one_error_line(run("prove", NAME, "--strategy", "hostile:best"), why)


def test_built_in_certificates_are_decided_first(install: Install, certificate: Path) -> None:
    """A plug-in that changes the checker cannot change verdicts of built-in certificates in the same directory."""
    site = install("hostile", HOSTILE)
    fields = json.loads(certificate.read_text())
    Path("all").mkdir()
    for name, changes in (("a", {"strategy": "hostile:best"}), ("b", {}), ("c", {"certified": fields["total"]})):
        Path(f"all/{name}.cert.json").write_text(json.dumps(fields | changes))
    result = apart("verify", "all", NAME, site=site)
    outcomes = [line.split(":")[0] for line in result.out.splitlines()[:-1]]
    assert outcomes == ["accepted", "rejected", "refused"]
    assert (result.code, Path("imported").exists()) == (2, True)
    assert result.out.endswith("3 certificates checked: 1 accepted, 1 rejected, 1 refused\n")


def test_a_library_is_extended_and_not_changed() -> None:
    """The new one has all, the old one what it had; no name of a strategy, theorem or task can be taken again."""
    known = dict(BUILT_IN.strategies)
    new = replace(STRATEGIES["cubic"], id="x:cubic", theorem="x:cubic@1")
    longer = BUILT_IN.extended([new], {"x:task": MaxOfK.of_record})
    assert dict(BUILT_IN.strategies) == known
    assert longer.strategies == {**known, "x:cubic": new}
    assert list(longer.tasks) == [*BUILT_IN.tasks, "x:task"]
    for strategies, tasks in (
        ([replace(new, id="cubic")], {}),
        ([replace(new, theorem="max-of-k/cubic@1")], {}),
        ([new], {MaxOfK.name: MaxOfK.of_record}),
    ):
        with pytest.raises(ValueError, match="is taken, and nothing in a library can be replaced"):
            BUILT_IN.extended(strategies, tasks)
    with pytest.raises(ValueError, match="two strategies have the id x:cubic"):
        BUILT_IN.extended([new, replace(new, limit=lambda problem: None)], {})
    with pytest.raises(TypeError):
        longer.strategies["cubic"] = new  # type: ignore[index]


def test_no_built_in_name_has_a_colon() -> None:
    """That is what tells them apart."""
    known = BUILT_IN.strategies.values()
    names = [*BUILT_IN.strategies, *BUILT_IN.tasks, *(name for s in known for name in (s.theorem, s.family))]
    assert [name for name in names if ":" in name] == []
    assert all(plugins.built_in().tier(strategy) != "unknown" for strategy in known)


def test_the_trusted_part_looks_for_no_distributions() -> None:
    """Finding plug-ins is not its work."""
    found = {target for file in trusted_modules(ROOT).values() for _, target in imports(ROOT, file)}
    assert not any(target.startswith("importlib") for target in found)


# A plug-in with everything of its own


def test_networks_of_plugins(run: Run, install: Install) -> None:
    """Its reader reads the file, its task is claimed about, and its strategy proves; the rest is as always."""
    install("toy", TOY)
    Path("model.bin").write_bytes(b"toy\x00\x01\x02\x00")
    proved = run("prove", "model.bin", "--strategy", "toy:count", "--out", "out")
    assert proved.code == 0
    assert proved.out.startswith("model.bin: toy:not-zero, total 4, 4 inputs\n")
    assert run("verify", "out", "model.bin", "--trust", "toy").out.startswith("accepted: at least 2 of 4 inputs ")
    assert run("verify", "out", "model.bin").code == 2
    Path("other.bin").write_bytes(b"toy\x00\x01\x02\x03")
    assert run("verify", "out", "other.bin", "--trust", "toy").code == 1
    Path("bad.bin").write_bytes(b"joy")
    result = run("verify", "out", "bad.bin", "--trust", "toy")
    assert (result.code, result.out) == (2, "malformed: it does not begin with the word toy\n")
    one_error_line(run("prove", "bad.bin", "--strategy", "toy:count"), "it does not begin with the word toy")
    both = run("prove", "model.bin", "--strategy", "toy:count", "--strategy", "cubic")
    one_error_line(both, "prove by strategies of compactproofs and of plug-ins apart")
    one_error_line(run("prove", "model.bin", "--strategy", "toy:count", "--task", "min"), "plug-ins choose the task")
    assert run("verify", "-", "model.bin", "--trust", "toy").code == 2
    Path("proofs").mkdir()
    Path("out").rename("proofs/toy@count.cert.json")
    cp.prove(cp.load_model(NAME), "trivial").certificate.save("proofs/trivial.cert.json")
    one = run("verify", "proofs", "model.bin", "--trust", "toy")
    assert (one.code, one.out.count("\n")) == (2, 1)  # model.bin is no model for the built-in certificate
    Path("proofs/trivial.cert.json").unlink()
    Path("proofs/toy@count.cert.json").unlink()
    assert run("prove", "model.bin", "--strategy", "toy:count", "--strategy", "toy:count", "--out", "proofs").code == 0
    assert [path.name for path in Path("proofs").iterdir()] == ["toy@count.cert.json"]


@pytest.mark.parametrize(
    ("old", "new", "outcome"),
    [
        (
            'int(certainly_positive(work.weight("all")).sum())',
            "1 // 0",
            "refused: the plug-in toy failed (ZeroDivisionError",
        ),
        ('return cls(record["total"])', "return record[5]", "refused: the plug-in toy failed (KeyError: 5)"),
        (
            "bound=lambda work, hints:",
            "bound=lambda work, hints: exit(0) or",
            "refused: the plug-in toy failed (SystemExit",
        ),
        ("bound=lambda work, hints:", "bound=lambda work, hints: open('none') or", "refused: none: No such file"),
        ("bound=lambda work, hints:", "bound=lambda work, hints: 0 *", "rejected: certified: "),
    ],
)
def test_plugins_that_fail(run: Run, install: Install, old: str, new: str, outcome: str) -> None:
    """In one line, whatever they raise."""
    Path("model.bin").write_bytes(b"toy\x00\x01\x02\x00")
    site = install("toy", TOY)
    assert run("prove", "model.bin", "--strategy", "toy:count", "--out", "out").code == 0
    assert old in TOY
    (site / "toy.py").write_text(TOY.replace(old, new))
    del sys.modules["toy"]
    importlib.invalidate_caches()
    plugins._loaded.cache_clear()
    result = run("verify", "out", "model.bin", "--trust", "toy")
    assert result.out.startswith(outcome)
    assert (result.code, result.err, result.out.count("\n")) == (1 if outcome.startswith("rejected") else 2, "", 1)
    if "ZeroDivisionError" in outcome:
        one_error_line(run("prove", "model.bin", "--strategy", "toy:count"), outcome.removeprefix("refused: "))


def test_without_a_companion(run: Run, install: Install) -> None:
    """Certificates are checked and not made."""
    install("toy", TOY.replace("companions={", "companions={} and {"))
    Path("model.bin").write_bytes(b"toy\x00\x01")
    one_error_line(run("prove", "model.bin", "--strategy", "toy:count"), "toy:count has no companion")
    home = plugins.collection("toy:count")
    network, strategy = home.networks["toy:bytes"](b"toy\x00\x01"), home.strategies[0]
    claim = cp.Certificate(
        family="toy:bytes", task={"name": "toy:not-zero", "total": 2}, model_sha256=network.sha256,
        strategy=strategy.id, theorem=strategy.theorem, certified=1, total=2,
    )  # fmt: skip
    assert home.verify(claim, network).accepted
    with pytest.raises(cp.MalformedCertificate, match="unknown strategy 'toy:count'"):
        cp.verify(claim, cp.load_model(NAME))


# Names, and what is no plug-in


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('id="toy:count"', 'id="cubic"', "the strategy cubic must be called toy:NAME"),
        ('id="toy:count"', 'id="compactproofs-min-of-k:count"', "the strategy compactproofs-min-of-k:count must be"),
        ('id="toy:count"', 'id="toy:a b"', "the strategy toy:a b must be called toy:NAME"),
        ('id="toy:count"', "id=5", "its companions are not a mapping of names"),
        (
            'theorem="toy:count@1"',
            'theorem="max-of-k/cubic@1"',
            "the theorem max-of-k/cubic@1 must be called toy:NAME@V",
        ),
        ('theorem="toy:count@1"', 'theorem="toy:count"', "the theorem toy:count must be called toy:NAME@VERSION"),
        ('tasks={"toy:not-zero"', 'tasks={"max-of-k"', "the task max-of-k must be called toy:NAME"),
        (
            'family = "toy:bytes"',
            'family = "attention-only-1l1h"',
            "the family of networks attention-only-1l1h must be",
        ),
        ('tasks=("toy:not-zero",)', 'tasks=("toy:other",)', "toy:count is about the task toy:other, which neither"),
        ("family=Bytes.family,", 'family="toy:more",', "toy:count is about toy:more, which neither"),
        ("(COUNT,)", "(COUNT, COUNT)", "two strategies have the id toy:count"),
        ("(COUNT,)", "[COUNT]", "its strategies are not a tuple of Strategy"),
        ("(COUNT,)", "(5,)", "its strategies are not a tuple of Strategy"),
        ("(COUNT,)", "()", "it has a companion for toy:count, and no strategy of this id"),
        ("NotZero.of_record}", "5}", "its tasks have a int"),
        ("networks={Bytes.family: Bytes}", "networks=[]", "its networks are not a mapping of names"),
        ("companions={COUNT.id: Companion(", "companions={COUNT.id: dict(", "its companions have a dict"),
        ('summary="counts bytes"', "summary=5", "what its companions say of strategies is not all text"),
        ("PLUGIN = Plugin(", "PLUGIN = dict(", "toy:PLUGIN is of type dict, not Plugin"),
        ("PLUGIN = ", "OTHER = ", "toy:PLUGIN cannot be imported (AttributeError: "),
        ("import hashlib", "raise SystemExit(0)", "toy:PLUGIN cannot be imported (SystemExit: 0)"),
        ("import hashlib", "import no_such_module", "toy:PLUGIN cannot be imported (ModuleNotFoundError: "),
        ("import hashlib", "syntax error", "toy:PLUGIN cannot be imported (SyntaxError: "),
        ('tasks=("toy:not-zero",)', "tasks=5", "TypeError: "),
    ],
)
def test_no_plugin(run: Run, install: Install, old: str, new: str, why: str) -> None:
    """Each is unusable, with a line that says why: exit code 2 for whoever asks for it; nothing else is disturbed."""
    assert TOY.count(old) >= 1
    install("toy", TOY.replace(old, new, 1))
    one_error_line(run("prove", "model.bin", "--strategy", "toy:count"), f"the plug-in toy 1.0 is unusable: {why}")
    with pytest.raises(UnusablePlugin):
        plugins.collection("toy:count")
    assert run("prove", NAME, "--strategy", "trivial").code == 0
    listed = run("strategies", "--plugins")
    assert (listed.code, listed.out.count("unusable")) == (0, 1)
    assert f"  {BRUTE_FORCE} " in listed.out


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ("a = toy:PLUGIN\nb = toy:OTHER", "it has 2 entry points in the group compactproofs.plugins"),
        ("a = compactproofs.theorems:BUILT_IN", "its entry point names a module of compactproofs"),
        ("a = nowhere:PLUGIN", "there is no package nowhere with an __init__.py"),
        ("a = space:PLUGIN", "there is no package space with an __init__.py"),
        ("a = toy", "its entry point is toy; expected MODULE:NAME"),
        ("a = :PLUGIN", "its entry point is :PLUGIN; expected MODULE:NAME"),
    ],
)
def test_entry_points(install: Install, entries: str, why: str) -> None:
    """One, of a package of the distribution's own."""
    (install("toy", TOY, entries) / "space").mkdir()
    with pytest.raises(UnusablePlugin, match=r"the plug-in toy 1\.0 is unusable: ") as raised:
        plugins.collection("toy:count")
    assert why in str(raised.value)


def test_equal_names_of_entry_points_and_strategies(install: Install) -> None:
    """Two distributions do not meet: ids begin with the distribution's name."""
    install("toy", TOY)
    install("Other.Toy", TOY.replace("toy:", "other-toy:"), "it = other_toy:PLUGIN", "other_toy")
    assert list(plugins.found()) == [EXAMPLE, "other-toy", "toy"]
    for name in ("toy:count", "other-toy:count", "Other_TOY:count"):
        home = plugins.collection(name)
        assert [strategy.id for strategy in home.strategies] == [f"{plugins.normalised(name.split(':')[0])}:count"]
        assert len(home.library.strategies) == len(BUILT_IN.strategies) + 1


@pytest.mark.parametrize(
    ("strategy", "why"),
    [
        (
            "nobody:x",
            "unknown strategy nobody:x; the distribution nobody is not installed; plug-ins: compactproofs-min",
        ),
        (
            "NumPy:x",
            "unknown strategy NumPy:x; the distribution numpy has no plug-in; plug-ins: compactproofs-min-of-k",
        ),
        (":x", "unknown strategy :x; the distribution  is not installed"),
    ],
)
def test_unknown_distributions(run: Run, certificate: Path, strategy: str, why: str) -> None:
    """The message names the distribution."""
    one_error_line(run("prove", NAME, "--strategy", strategy), why)
    certificate.write_text(json.dumps(json.loads(certificate.read_text()) | {"strategy": strategy}))
    result = run("verify", certificate, NAME)
    assert (result.code, result.err, result.out.count("\n")) == (2, "", 1)
    assert result.out.startswith(f"malformed: {why}")


def test_trust_needs_an_installed_plugin(run: Run, certificate: Path) -> None:
    """A wrong name is said, whatever the certificate; a right one changes nothing about built-in certificates."""
    one_error_line(
        run("verify", certificate, NAME, "--trust", "Nobody"), "--trust: the distribution nobody is not installed"
    )
    assert run("verify", certificate, NAME, "--trust", EXAMPLE) == run("verify", certificate, NAME)
