"""The conda recipe says what pyproject.toml says; `.ci/conda` builds it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import compactproofs as cp

ROOT = Path(__file__).parents[1]


def pieces(requirement: str) -> tuple[str, str]:
    """The name and the versions, as "numpy" and ">=1.26"."""
    found = re.fullmatch(r"([\w.-]+)\s*(.*)", requirement)
    assert found
    return found[1], found[2].replace(" ", "")


def test_recipe_says_what_the_project_says() -> None:
    """Version, requirements, entry points and licence."""
    yaml: Any = pytest.importorskip("yaml")
    recipe = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text(encoding="utf-8"))
    toml = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = toml["project"]
    host, run = (dict(map(pieces, recipe["requirements"][of])) for of in ("host", "run"))
    python = {"python": project["requires-python"]}
    assert (recipe["package"]["name"], recipe["context"]["version"]) == (project["name"], cp.__version__)
    assert run == python | dict(map(pieces, project["dependencies"]))
    development = dict(map(pieces, (each.partition("[")[0] for each in project["optional-dependencies"]["dev"])))
    assert host == python | {"pip": ""} | {name: development[name] for name in toml["build-system"]["requires"]}
    entries = [f"{name} = {where}" for name, where in project["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == entries
    about = recipe["about"]
    assert (about["summary"], about["license"]) == (project["description"], project["license"])
    assert [about["license_file"]] == project["license-files"]
