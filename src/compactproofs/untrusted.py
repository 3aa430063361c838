"""Reading bytes that somebody else wrote: bounded in size, and strict about JSON.  Standard library only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn


def read_limited(path: Path, limit: int) -> bytes:
    """The bytes of a file, of which at most `limit` are ever read.

    Raises OSError if it cannot be read and ValueError if it is longer.
    """
    with path.open("rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"the file is larger than {limit} bytes, the most that is read")
    return data


def shown(value: Any, limit: int = 60) -> str:
    """A value of unknown origin as a message can hold it: printable ASCII only, and short."""
    plain = isinstance(value, str) and value.isascii() and value.isprintable()
    text = value if plain else ascii(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def strict_json(data: bytes) -> Any:
    """Parse UTF-8 JSON; refuses duplicate keys, NaN and infinities, numbers that are not integers, and deep nesting.

    Raises ValueError with what is wrong.
    """
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse,
            parse_float=_refuse,
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 text (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise ValueError("JSON nested too deeply") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in pairs:
        if name in result:
            raise ValueError(f"the key {shown(name)} appears twice")
        result[name] = value
    return result


def _refuse(literal: str) -> NoReturn:
    raise ValueError(f"the number {literal[:40]} is not an integer; only integers are allowed here")
