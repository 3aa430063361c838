"""Lines of formulas in plain text, set apart from words, as LaTeX."""

from __future__ import annotations

import re
from itertools import pairwise

from formulas import spans

_RELATION = r"(?:[<>!/]?=|[<>])(?= )"


def displayed(lines: list[str], whole: str) -> str:
    """Lines of formulas, with words among them, as LaTeX; what is aligned there stays aligned.

    Lines are cut where a relation, or what stands behind a gap, begins in the same column as in another line.
    """
    indent = min(len(line) - len(line.lstrip()) for line in lines)
    lines = [line[indent:] for line in lines]
    relations = [_first_relation(line) for line in lines]
    ends = [found.end() for found in relations if found]
    shared = max((end for end in ends if ends.count(end) > 1), key=ends.count, default=None)  # where most of them end
    gaps = [_behind_gaps(line) for line in lines]
    columns = {start for starts in gaps for start in starts if sum(start in others for others in gaps) > 1}
    columns = sorted({0, *columns, *([shared - 1] if shared else [])})
    rows = []
    for line, relation, starts in zip(lines, relations, gaps, strict=True):
        cuts = {start: start for start in starts if start in columns}
        if relation and shared:
            cuts[relation.start()] = shared - 1
        first = len(line) - len(line.lstrip())
        cuts.setdefault(first, max(column for column in columns if column <= first))
        rows.append(_row(line, {cut: columns.index(column) for cut, column in cuts.items()}, columns, whole))
    if len(rows) == 1:
        return rows[0].replace("&", "").strip()
    return rf"\begin{{alignedat}}{{{len(columns)}}} " + " \\\\\n".join(rows) + r" \end{alignedat}"


def _behind_gaps(line: str) -> list[int]:
    """Where something begins behind two spaces, but at relations."""
    starts = [found.end() for found in re.finditer(r"(?<=\S)  +(?=\S)", line)]
    return [
        start
        for start in starts
        if not re.match(_RELATION, line[start:]) and not re.search(r"(?:[<>!/]?=|[<>]) +$", line[:start])
    ]


def _first_relation(line: str) -> re.Match[str] | None:
    """The first one outside of brackets."""
    depth = 0
    for found in re.finditer(r"[(\[{]|[)\]}]|(?:(?<= )|^)" + _RELATION, line):
        depth += (found[0] in "([{") - (found[0] in ")]}")
        if depth == 0 and found[0] not in ")]}":
            return found
    return None


def _row(line: str, cuts: dict[int, int], columns: list[int], whole: str) -> str:
    """A line; `cuts`: where its pieces begin, and which column each is in."""
    row, column = "&", 0
    bounds = [*sorted(cuts), len(line)]
    for start, stop in pairwise(bounds):
        row += " &&" * (cuts[start] - column)
        column = cuts[start]
        piece = line[start:stop].strip()
        leads = not line[:start].strip()
        if leads and start - columns[column] > 1:
            row += rf" \hspace{{{min(start - columns[column], 12) / 2:g}em}}"
        elif column and not re.match(_RELATION, piece) and (leads or re.search("  $", line[:start])):
            row += r" \quad"
        row += (" {}" if column or start else " ") + _line(piece, whole)
    return row


def _line(text: str, whole: str) -> str:
    """Formulas and words of a line."""
    if text == "(*)":
        return r"\quad (\ast)"
    text = re.sub(rf"(?:^| +)({_RELATION}) +", r" \1 ", re.sub(r"(?<=\w) +\(", " (", text))
    latex, at = "", 0
    for span in spans(text, whole=whole, displayed=True):
        latex += _words(text[at : span.start]) + span.latex + " "
        at = span.stop
    return latex + _words(text[at:])


def _words(text: str) -> str:
    gaps = re.split(r"(  +)", text.replace("`", ""))
    latex = ""
    for part in gaps:
        if re.fullmatch("  +", part):
            latex += r" \quad "
        elif re.fullmatch(r" ?[,.;:]? ?", part):
            latex += part.strip() + (r"\ " if re.match(r"[,;:] ", part) else "")
        else:
            latex += rf"\text{{{part}}}"
    return latex
