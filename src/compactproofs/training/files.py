"""What a file of a trained model says of itself, in one JSON object."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

METADATA_KEY = "compactproofs.training"
"""The one metadata entry of a model file. One entry only: safetensors writes several in no fixed order."""


def to_bytes(tensors: Mapping[str, npt.NDArray[np.generic]], about: Mapping[str, Any]) -> bytes:
    """The bytes of a safetensors file; equal tensors with equal notes give equal bytes."""
    return safetensors.numpy.save(dict(tensors), metadata={METADATA_KEY: json.dumps(about)})


def read_metadata(path: Path) -> dict[str, Any]:
    """What a file says of itself. Raises ValueError where the file is not one of ours."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {})[METADATA_KEY])
    except (safetensors.SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a model written by this package: {error!r}; move it away") from error
    if not isinstance(about, dict):
        raise ValueError(f"{path}: the metadata entry {METADATA_KEY} is not a JSON object; move the file away")
    return about


def metadata_of(path: Path, expected: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the file at `path` says of itself, if there is one. Raises ValueError where it is not as expected."""
    if not path.exists():
        return None
    if not path.is_file():
        raise ValueError(f"{path} is not a file; move it away")
    about = read_metadata(path)
    for name, value in expected.items():
        if about.get(name) != value:
            raise ValueError(
                f"{path} holds another model: its {name} is {about.get(name)!r}, expected {value!r}; "
                "choose another out_dir or move the file away"
            )
    return about
