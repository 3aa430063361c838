"""The theorems that a check may rest on, sealed: nothing can be added to a library, or replaced in it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from compactproofs.kernel.errors import CompactProofsError
from compactproofs.kernel.problem import Strategy, Task
from compactproofs.kernel.strict import shown

#: What makes a task of its record, or raises ValueError.
ReadTask: TypeAlias = Callable[[Mapping[str, Any]], Task]


class UnknownStrategy(CompactProofsError, ValueError):
    """No strategy has this id."""


class UnknownTask(CompactProofsError, ValueError):
    """No task has this record."""


@dataclass(frozen=True)
class Library:
    """Strategies by their ids, and what makes tasks of their records, by the tasks' names."""

    strategies: Mapping[str, Strategy]
    tasks: Mapping[str, ReadTask]

    @classmethod
    def of(cls, strategies: Iterable[Strategy], tasks: Mapping[str, ReadTask]) -> Library:
        """A library of these; ValueError if two strategies have one id."""
        by_id: dict[str, Strategy] = {}
        for strategy in strategies:
            if by_id.setdefault(strategy.id, strategy) is not strategy:
                raise ValueError(f"two strategies have the id {strategy.id}")
        return cls(MappingProxyType(by_id), MappingProxyType(dict(tasks)))

    def extended(self, strategies: Iterable[Strategy], tasks: Mapping[str, ReadTask]) -> Library:
        """A new library with these besides; ValueError if one has the name of a strategy, theorem or task of this."""
        more = tuple(strategies)
        taken = {*self.tasks, *self.strategies, *(strategy.theorem for strategy in self.strategies.values())}
        for name in (*tasks, *(name for strategy in more for name in (strategy.id, strategy.theorem))):
            if name in taken:
                raise ValueError(f"the name {shown(name)} is taken, and nothing in a library can be replaced")
        return Library.of((*self.strategies.values(), *more), {**self.tasks, **tasks})

    def strategy(self, strategy_id: str) -> Strategy:
        """The strategy with this id; raises UnknownStrategy, which names the known ones or those that are close."""
        if strategy_id in self.strategies:
            return self.strategies[strategy_id]
        close = difflib.get_close_matches(strategy_id, self.strategies, n=3, cutoff=0.8)
        meant = f"did you mean {' or '.join(close)}; " if close else ""
        raise UnknownStrategy(f"unknown strategy {strategy_id[:200]!a}; {meant}'compactproofs strategies' lists all")

    def task(self, record: Mapping[str, str | int]) -> Task:
        """The task that a certificate names; raises UnknownTask."""
        name = str(record.get("name"))
        if name not in self.tasks:
            raise UnknownTask(f"unknown task {shown(name)}; known: {', '.join(self.tasks)}")
        try:
            return self.tasks[name](record)
        except ValueError as error:
            raise UnknownTask(f"{name}: {error}") from error
