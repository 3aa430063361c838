"""Searches for histograms on several cores: the same hints as by one process, also where no other can be started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import pytest

from compactproofs.opening.arguments import Misuse
from compactproofs.opening.models import Model
from compactproofs.search.companions import HintArrays
from compactproofs.search.families import counting, on_all_cores
from compactproofs.search.workspaces import MaxWorkspace, workspace
from compactproofs.system.log import PROGRESS
from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins, class_margins
from compactproofs.theorems.max_of_k.counting.histogram import HISTOGRAM, HISTOGRAM_UPPER
from soundness.models import working_weights


@pytest.fixture
def work() -> MaxWorkspace:
    """A model with many classes, whose inputs are counted from both ends, too; coarsely, so that it is quick."""
    found = workspace(Model(**working_weights(np.random.default_rng(1), 10, 12, sharpness=0.6, noise=0.05)), "value")
    found.haste = 1e6
    return found


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cores, and no search too small for them; queries of one maximum are in several tasks."""
    monkeypatch.setattr(on_all_cores, "MANY_INPUTS", 0)
    monkeypatch.setattr(on_all_cores, "FEW", 4)
    monkeypatch.setattr(on_all_cores, "cores", lambda: 2)


def told(work: Any, over: bool, classes: Callable[[Any], Iterator[ClassMargins | int]] = class_margins) -> HintArrays:
    """A plan that says which classes it was asked for."""
    rows = [[each.query, int(each.tokens[-1]), *[0] * 9] for each in classes(work) if isinstance(each, ClassMargins)]
    arrays: HintArrays = {
        "labels": np.zeros((0, 2, 2), np.uint8),
        "edges": np.zeros((0, 64)),
        "ranks": np.zeros((0, 2)),
    }
    steps, branches = np.array(rows, np.int64).reshape(-1, 11), np.zeros((0, 12), np.int64)
    return {"weights": np.zeros(1), "steps": steps, "branches": branches, **arrays}


def nothing(work: MaxWorkspace) -> HintArrays:
    """Hints of the right types and shapes, and none."""
    specs = HISTOGRAM.hints(work.problem)
    return {name: np.zeros([size or 0 for size in spec.shape], spec.dtype) for name, spec in specs.items()}


def same(found: HintArrays, wanted: HintArrays) -> None:
    """Whether hints are equal to the last number."""
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


@pytest.mark.usefixtures("two_cores")
def test_the_same_hints(work: MaxWorkspace) -> None:
    """Clusters and edges of each task have other numbers in the whole."""
    with np.errstate(all="ignore"):
        wanted = counting.plan(work, True)
    assert len(wanted["labels"]) > 1
    assert (wanted["steps"][:, 6] > 0).sum() > 1
    told: list[str] = []
    token = PROGRESS.set(told.append)
    same(on_all_cores.search(counting.plan, HISTOGRAM, work), wanted)
    PROGRESS.reset(token)
    assert told[-1] == f"searched {len(told)} of {len(told)} groups of classes"


def test_what_joins_nothing_still_does_not() -> None:
    """Windows are as they were, and so are steps where every token is alone, but for the numbers of their edges."""
    rows = np.array([[0, 1, 0, 2, -1, -1, joined, 5, 1, 1, 1] for joined in (-1, 0, 2)])
    part = {
        "weights": np.zeros((9, 9), np.uint16),
        "steps": rows,
        "labels": np.zeros((4, 3, 9), np.uint8),
        "edges": np.zeros((7, 64), np.uint16),
        "branches": np.array([[0, 1, 0, 2, joined, 4, 5, 9, 1, 8, 1, 9] for joined in (-1, 0, 2)]),
        "ranks": np.zeros((3, 9), np.uint8),
    }
    found = on_all_cores.joined([part, part])

    assert found["steps"][:, 6:8].tolist() == [[-1, 5], [0, 5], [2, 5], [-1, 5], [0, 12], [6, 12]]
    assert (found["labels"].shape, found["edges"].shape) == ((8, 3, 9), (14, 64))
    of_branches = [[2, -1, 4, 5], [2, 0, 4, 5], [2, 2, 4, 5], [5, -1, 8, 12], [5, 0, 8, 12], [5, 6, 8, 12]]
    assert found["branches"][:, 3:7].tolist() == of_branches
    assert found["ranks"].shape == (6, 9)
    assert rows[:, 7].tolist() == [5, 5, 5]


@pytest.mark.usefixtures("two_cores")
def test_no_other_process(work: MaxWorkspace, without_processes: Callable[[ModuleType], None]) -> None:
    """Where none can be started, or one dies, this one searches."""
    without_processes(on_all_cores)
    found = on_all_cores.search(told, HISTOGRAM_UPPER, work)
    assert len(found["steps"]) > 10
    same(found, told(work, False))


def test_one_core_or_little_to_do(work: MaxWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then no process is asked for."""

    def never(number: int) -> NoReturn:
        raise AssertionError(number)

    monkeypatch.setattr(on_all_cores, "local_processes", never)
    for cores, many in (1, 0), (8, on_all_cores.MANY_INPUTS):
        monkeypatch.setattr(on_all_cores, "cores", lambda cores=cores: cores)
        monkeypatch.setattr(on_all_cores, "MANY_INPUTS", many)
        same(on_all_cores.search(told, HISTOGRAM, work), told(work, True))


def test_what_was_found_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A search that is interrupted goes on where it was; what is damaged, or about something else, is not taken up."""
    work = workspace(Model(**working_weights(np.random.default_rng(1), 5, 8, sharpness=0.6, noise=0.05)), "value")
    work.haste = 1e6
    monkeypatch.setattr(on_all_cores, "MANY_INPUTS", 0)
    monkeypatch.setattr(on_all_cores, "FEW", 4)
    monkeypatch.setattr(on_all_cores, "cores", lambda: 1)
    wanted = on_all_cores.search(counting.plan, HISTOGRAM, work)
    work.keep = tmp_path / "new" / "folder"
    searched = 0

    def until(most: int) -> Callable[..., HintArrays]:
        def plan(*arguments: Any, **named: Any) -> HintArrays:
            nonlocal searched
            if searched == most:
                raise KeyboardInterrupt
            searched += 1
            return counting.plan(*arguments, **named)

        return plan

    with pytest.raises(KeyboardInterrupt):
        on_all_cores.search(until(5), HISTOGRAM, work)
    files = sorted(work.keep.iterdir())
    assert len(files) == 5
    files[0].write_bytes(files[0].read_bytes()[:-100])
    files[1].write_bytes(b"")
    files[2].write_bytes(np.arange(3).tobytes())
    np.savez_compressed(files[3], weights=np.zeros(3))
    searched = 0
    same(on_all_cores.search(until(1000), HISTOGRAM, work), wanted)
    every = len(list(work.keep.iterdir()))
    assert searched == every - 1
    assert caplog.text.count("is damaged") == 4
    searched = 0
    same(on_all_cores.search(until(0), HISTOGRAM, work), wanted)
    for piece in on_all_cores._pieces(HISTOGRAM, work, 0):  # as if another process had just found it
        on_all_cores.of_piece(until(0), HISTOGRAM, work.problem, work.haste, piece)
    work.haste /= 2
    on_all_cores.search(until(1000), HISTOGRAM, work)
    on_all_cores.search(until(1000), HISTOGRAM_UPPER, work)
    assert searched == 2 * every


@pytest.mark.parametrize(
    "instead",
    [
        {"steps": None},
        {"steps": np.zeros((1, 5), np.int64)},
        {"steps": np.full((1, 11), np.nan)},
        {"steps": np.array(None)},
        {"labels": np.array(3, np.uint8)},
        {"ranks": np.zeros((1, 9), np.uint8)},
        {"another": np.zeros(1)},
        {"seconds": np.array(np.nan)},
        {"seconds": np.array(-1.0)},
        {"seconds": np.zeros(2)},
    ],
    ids=str,
)
def test_what_is_no_hint_is_not_taken_up(
    work: MaxWorkspace, tmp_path: Path, instead: dict[str, npt.NDArray[Any] | None]
) -> None:
    """Files of the right name may hold anything: nothing is made of it, and nothing else is raised."""
    piece = on_all_cores.Piece(1, range(2), tmp_path / "piece.npz")
    piece.keep(nothing(work), 0.5)
    assert piece.kept(HISTOGRAM, work.problem) is not None
    arrays: dict[str, Any] = {**nothing(work), "seconds": np.array(0.5), **instead}
    assert piece.path is not None
    np.savez(piece.path, **{name: array for name, array in arrays.items() if array is not None})
    assert piece.kept(HISTOGRAM, work.problem) is None


@pytest.mark.parametrize(("place", "bits"), [(6, 1), (8, 99)], ids=["encrypted", "of an unknown method"])
def test_archives_of_other_kinds(work: MaxWorkspace, tmp_path: Path, place: int, bits: int) -> None:
    """No more than what is no archive at all."""
    piece = on_all_cores.Piece(1, range(2), tmp_path / "piece.npz")
    piece.keep(nothing(work), 0.5)
    assert piece.path is not None
    archive = bytearray(piece.path.read_bytes())
    for header, before in (b"PK\3\4", 0), (b"PK\1\2", 2):
        at = archive.find(header)
        while at >= 0:
            archive[at + before + place] = bits
            at = archive.find(header, at + 4)
    piece.path.write_bytes(archive)
    assert piece.kept(HISTOGRAM, work.problem) is None


@pytest.mark.usefixtures("two_cores")
def test_what_cannot_be_kept(work: MaxWorkspace, tmp_path: Path) -> None:
    """The search ends, and does not go on with one process as if there were no others."""
    (tmp_path / "file").touch()
    work.keep = tmp_path / "file" / "folder"
    with pytest.raises(Misuse, match=r"cannot keep what was found, as .*folder.*: Not a directory; what is there "):
        on_all_cores.search(told, HISTOGRAM, work)


def test_as_coarsely_as_possible(work: MaxWorkspace) -> None:
    """Nothing is worth the trouble then."""
    work.haste = float("inf")
    with np.errstate(all="ignore"):
        assert [len(counting.plan(work, over)["steps"]) for over in (True, False)] == [0, 0]


def test_small_maxima(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are many classes, those that hold next to nothing are not looked at, and hints say so."""
    many = workspace(Model(**working_weights(np.random.default_rng(1), 12, 24, sharpness=1.0)), "value")
    many.haste = 1e3
    least = counting.least_maximum(many)
    assert 2 <= least < 24
    assert (least / 24) ** 12 < 1e-3
    many.haste = 1e-9
    assert counting.least_maximum(many) <= 1
    for haste in 1e12, float("inf"):
        many.haste = haste
        assert counting.least_maximum(many) == 0  # nothing would be left
    seen: list[int] = []

    def searched(plan: object, strategy: object, work: object, least: int) -> HintArrays:
        seen.append(least)
        return {"steps": np.zeros((1, 11), np.int64)}

    monkeypatch.setattr(on_all_cores, "search", searched)
    many.haste = 1e3
    hints = counting.search(HISTOGRAM, many)
    assert hints["steps"].tolist() == [[0] * 11, [-1, least, *[0] * 9]]
    assert len(counting.search(HISTOGRAM_UPPER, many)["steps"]) == 1
    assert seen == [least, least]
    few = workspace(Model(**working_weights(np.random.default_rng(1), 3, 24, sharpness=1.0)), "value")
    few.haste = 1e3
    assert len(counting.search(HISTOGRAM, few)["steps"]) == 1
    assert seen[2] == 0
