"""JSON that somebody else wrote, read strictly, and values of unknown origin in messages.  Standard library only."""

from __future__ import annotations

import json
from typing import Any, NoReturn

MAX_NESTED = 2**16  # lists and objects in one JSON text; a small text full of them would take much memory
MAX_DIGITS = 4000  # of an integer


def shown(value: Any, limit: int = 60) -> str:
    """A value of unknown origin as a message can hold it: printable ASCII only, and short."""
    plain = isinstance(value, str) and value.isascii() and value.isprintable()
    text = value if plain else ascii(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def strict_json(data: bytes) -> Any:
    """Parse UTF-8 JSON; refuses duplicate keys, all numbers but integers of at most MAX_DIGITS digits, -0, deep
    nesting, and more than MAX_NESTED brackets that open something.

    Raises ValueError with what is wrong.
    """
    if data.count(b"[") + data.count(b"{") > MAX_NESTED:
        raise ValueError(f"more than {MAX_NESTED} opening brackets, the most that are read as JSON")
    try:
        text, hook = data.decode("utf-8"), _unique
        return json.loads(text, object_pairs_hook=hook, parse_constant=_refuse, parse_float=_refuse, parse_int=_integer)
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


def _integer(literal: str) -> int:
    if literal == "-0":  # to some readers no integer but the float -0.0
        raise ValueError("the number -0 has a sign; write 0")
    digits = len(literal.removeprefix("-"))
    if digits > MAX_DIGITS:
        raise ValueError(f"the number {shown(literal, 40)} has {digits} digits, and at most {MAX_DIGITS} are read")
    return int(literal)


def _refuse(literal: str) -> NoReturn:
    raise ValueError(f"the number {literal[:40]} is not an integer; only integers are allowed here")
