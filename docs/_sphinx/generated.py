"""Pages that are made anew for each build, in `docs/generated`: of docstrings, of the command line, of other files."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from links import DOCS, MADE, ROOT, relinked
from modules import IMPORTS, by_part, first_sentence

GENERATED = DOCS / "generated"


def _write(page: str, text: str) -> None:
    path = DOCS / page
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _module(name: str) -> str:
    """A page that shows a module's docstring and those of what is in it, in the order of the code."""
    short = name.removeprefix("compactproofs.")
    needs = ", ".join(f":py:mod:`{other.removeprefix('compactproofs.')} <{other}>`" for other in IMPORTS[name])
    return (
        f"{short}\n{'=' * len(short)}\n\n"
        + (f"*Rests on* {needs}.\n\n" if needs else "")
        + f".. automodule:: {name}\n   :members:\n   :show-inheritance:\n"
    )


_ABOUT_MODULES = """\
# Theorems and what they rest on

Every page shows the docstrings of a module in the order of its code: statement, proof, then the functions that compute
what the proof speaks of, with *[source]* beside each. Formulas are plain text in the source, and set as mathematics
here. [Its own page](/strategies/README.md) says what a strategy comes down to. Lemmas come before what rests
on them. [What one must believe](/trust.md) says which of these a strategy needs.
"""


def _modules() -> str:
    """The list of all of them."""
    lines = [_ABOUT_MODULES]
    for part, names in by_part().items():
        lines += [f"## {part}", "", "```{toctree}", ":hidden:", ""]
        lines += [f"modules/{name}" for name in names]
        lines += ["```", ""]
        for name in names:
            title = name.removeprefix("compactproofs.")
            lines.append(f"- [`{title}`](modules/{name}.rst): {_plain(first_sentence(name))}")
        lines.append("")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text that is no markup, in Markdown; code is code."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(part if i % 2 else re.sub(r"([\\*_<>\[\]|#{}])", r"\\\1", part) for i, part in enumerate(parts))


def _commands() -> str:
    """The command line as its `--help` has it, and what the README says of exit codes and limits."""
    from compactproofs.cli.app import program

    top = program()
    context = top.make_context("compactproofs", [], resilient_parsing=True)
    lines = ["# Command line", "", _plain(top.help or ""), "", _plain(top.epilog or ""), ""]
    for name in top.list_commands(context):
        command = top.get_command(context, name)
        inner = type(context)(command, info_name=name, parent=context)
        usage = " ".join(command.collect_usage_pieces(inner))
        lines += [
            f"## {name}",
            "",
            "```text",
            f"compactproofs {name} {usage}",
            "```",
            "",
            _plain(command.help or ""),
            "",
        ]
        records = filter(None, (parameter.get_help_record(inner) for parameter in command.get_params(inner)))
        lines += ["| | |", "| --- | --- |"]
        lines += [f"| `{_cell(names)}` | {_plain(words)} |" for names, words in records]
        lines.append("")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    limits = re.search(r"^## Exit codes and limits\n.*?(?=^## )", readme, re.MULTILINE | re.DOTALL)
    assert limits, "README.md has no section 'Exit codes and limits'"
    return "\n".join(lines) + relinked(limits[0], ROOT / "README.md", "generated/command-line.md")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _notebook(path: Path, page: str) -> str:
    """Its cells with their numbers, and what the file shows that they printed, and a link to the file."""
    first, *cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    title, _, rest = "".join(first["source"]).partition("\n")
    about = f"*[{path.name}]({path.name}) as it was run, with what it printed and drew.*"
    blocks = [relinked(f"{title}\n\n{about}\n{rest}", path, page)]
    for cell in cells:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            blocks.append(relinked(text, path, page))
            continue
        blocks += [f'<div class="cell" data-number="{cell["execution_count"]}">', f"```python\n{text}\n```", "</div>"]
        outputs = [block for output in cell["outputs"] for block in _output(output)]
        blocks += ['<div class="cell-output">', *outputs, "</div>"] if outputs else []
    return "\n\n".join(blocks) + "\n"


def _output(output: dict[str, Any]) -> Iterator[str]:
    data = {kind: "".join(content) for kind, content in output.get("data", {}).items()}
    if "image/png" in data:
        yield f'<img alt="What the cell above draws" src="data:image/png;base64,{data["image/png"].strip()}"/>'
    elif "text/html" in data:
        table = re.sub(r"<style>.*?</style>|\n", "", data["text/html"], flags=re.DOTALL)
        yield f'<div class="table-wrapper">{table.replace("<table", """<table class="docutils" """)}</div>'
    else:
        text = "".join(output.get("text", data.get("text/plain", ""))).rstrip()
        if text:
            yield f"```text\n{text}\n```"


def _make(app: Any) -> None:
    wanted = {"generated/theorems.md": _modules(), "generated/command-line.md": _commands()}
    for path, page in MADE.items():
        if page.endswith(".rst"):
            wanted[page] = _module(Path(page).stem)
        elif path.suffix == ".ipynb":
            wanted[page] = _notebook(path, page)
        else:
            wanted[page] = relinked(path.read_text(encoding="utf-8"), path, page)
    shutil.rmtree(GENERATED, ignore_errors=True)
    for page, text in wanted.items():
        _write(page, text)


def setup(app: Any) -> dict[str, bool]:
    """What Sphinx calls."""
    app.connect("builder-inited", _make, priority=100)
    return {"parallel_read_safe": True}
