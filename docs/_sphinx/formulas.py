"""Formulas in plain text, such as `sum_p a_p |X'_i|^2 <= e^(n - 1)`, as LaTeX.

Docstrings are read in the source, where formulas stand among words without markup.  Here they are found and translated,
token by token: nothing is rearranged and nothing left out, so that the LaTeX can be read back (`plain`).  What is not
surely a formula stays text, as it is.

A formula is made of numbers, letters, names of Greek letters, names that have an index or stand beside an operator,
what is between brackets or bars, and operators.  Of the notation, these are more than plain: `v^` is v with a hat, `E-`
with a bar, `v+` its positive part, `^T` transposes, and `x` between two dimensions is a sign of multiplication.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

_GREEK = ("alpha", "beta", "gamma", "delta", "eta", "kappa", "lambda", "omega", "phi", "pi", "rho", "sigma", "tau")
_SHORT = {"eps": r"{\varepsilon}", "inf": r"{\infty}"}
_CIRCUITS = {"EU", "EVOU", "PVOU", "EQKE", "EQKP", "PV"}
_LARGE = {"sum": r"\sum", "prod": r"\prod", "max": r"\max", "min": r"\min", "mean": r"\operatorname{mean}"}
_FUNCTIONS = {name: rf"\{name}" for name in ("exp", "log", "tanh", "max", "min")}
_OPERATORS = {"mean", "softmax", "ReLU", "floor", "ceil", "logit", "logits", "score", "spread"}
_RELATIONS = {
    "<=": r"\le",
    ">=": r"\ge",
    "!=": r"\ne",
    "/=": r"\neq",
    "->": r"\to",
    "≈": r"\approx",
    **{sign: sign for sign in "=<>"},
}
_SIGNS = {"+": "+", "-": "-", "*": r"\cdot", "/": "/", "×": r"\times"}
_BETWEEN = {"mod": r"\bmod", "minus": r"\text{ minus }", "∖": r"\setminus"}
_BRACKETS = {"(": ")", "[": "]", "{": "}"}

_ENGLISH = """a all an and any are as at be but by do does each else every for from given has have if in is it its let
    like likewise may not of on or over put since so than that the then these this those times to under when where which
    whose with"""
#: Signs that are not ASCII: letters that are raised, and what is typed for others.
_RAISED = ("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿᴷᵀᵏ", "0123456789-+nKTk")
_LOWERED = ("₀₁₂ₙ", "012n")
_TYPED = {"−": "-", "·": "*", "…": "...", "≤": "<=", "≥": ">=", "≠": "!=", "Σ_": "sum_", "û": "u^"} | dict(
    zip("αβγδηκλωφπρστ", _GREEK, strict=True)
)
#: Words that are never names, whatever stands beside them.
_WORDS = frozenset(re.findall(r"\w+", _ENGLISH))
#: Words after which "a" was a letter and not an article: "the vector a of", "let a be".
_AFTER_A = _WORDS - {"a", "an", "but", "each", "every", "given", "let", "like", "this", "those"}
#: And words before it: "the term a b", "at most a tokens".
_BEFORE_A = ("most", "product", "term")

_TOKEN = re.compile(
    r"""(?P<text>\*\w[\w ]*\*(?!\w)                                         # *emphasis*
        |(?=[\w-]*[A-Za-z]{2}[\w-]*/|[\w-]+/[A-Za-z]{2})[A-Za-z][\w-]*(?:/[A-Za-z][\w-]*)+(?:@\d+)?  # and/or, ids
        |[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*-[A-Za-z]{2,}(?:-\w+)*(?:\+\w+)*     # compound words: one-head, max-of-k
        |[A-Z][a-z]+-[A-Z]\b|[A-Za-z]{2,}(?:-[A-Za-z0-9]+){2,}              # Ctrl-C, max-of-K
        |[A-Za-z]{2,}-\d+(?:/\d+)?                                          # UTF-8, add-59/50
        |(?<!_)[A-Za-z]{2,}'s?(?![A-Za-z(_^\[])|'s\b                        # the tokens' and the token's
        |[A-Za-z]{2,}(?:[_+][A-Za-z]{2,})*\+[A-Za-z]{2,}(?:_[A-Za-z]{2,})*  # mean_query+max_diff
        |[A-Za-z][\w-]*\.[A-Za-z_]\w+                                       # a.mid, large-k.csv
        |(?<=\d\ )s(?=\ [a-z]{2}|[,.;)]|$)                                  # seconds
        |<<|<[a-z]>)                                                        # S<d>
    |(?P<number>\d+(?:,\d{3})*(?:\.\d+)?)
    |(?P<code>(?!(?:sum|prod|max|min|mean)_[a-z]{2}(?![A-Za-z_]))[A-Za-z]{2,}(?:_[A-Za-z]{2,})+)
    |(?P<name>[A-Za-z]+\d*|Σ)
    |(?P<ellipsis>\.\.\.)
    |(?P<relation><=|>=|!=|/=|->|[=<>≈])
    |(?P<other>\S)""",
    re.VERBOSE,
)
#: "k-th" is a letter and a word, and not a compound.
_OF_LETTER = re.compile(r"(?<![\w-])[A-Za-z](?=-(?:th|dimensional|mean)\b)|(?<![\w'-])[A-Za-z](?='s\b)")


@dataclass(frozen=True)
class Span:
    """A formula: where it stands in the text, its LaTeX, and the same in pieces between which a line may end."""

    start: int
    stop: int
    latex: str
    pieces: tuple[str, ...]


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int
    stop: int


class _NoFormulaError(Exception):
    """What stands here cannot be read as one."""


def spans(text: str, *, whole: str | None = None, displayed: bool = False) -> list[Span]:
    """The formulas of a text, from left to right.

    `whole`: the docstring that it is from, which says what is a name; `displayed`: brackets may close on other lines,
    and numbers are formulas too.  Signs that are not ASCII, as pages have them, mean what is typed for them.
    """
    typed, places = _typed(text)
    found = _Reader(typed, _typed(whole)[0] if whole else typed, displayed).found()
    return [replace(span, start=places[span.start], stop=places[span.stop - 1] + 1) for span in found]


def _typed(text: str) -> tuple[str, list[int]]:
    """What is typed for signs that are not ASCII, and where each character of it stands in the text."""
    typed, places = "", []
    for sign in re.finditer(rf"[{_RAISED[0]}]+|[{_LOWERED[0]}]|√\w+|Σ_|.", text, re.DOTALL):
        anew = _typed_for(sign[0])
        typed += anew
        # What is put in the place of a sign stands at its end, but for its beginning.
        places += [sign.start()] + [sign.end() - 1] * (len(anew) - 1)
    return typed, places


def _typed_for(sign: str) -> str:
    if sign[0] in _RAISED[0]:
        exponent = sign.translate(str.maketrans(*_RAISED))
        return exponent if exponent == "+" else f"^{exponent}" if exponent == "T" else f"^{{{exponent}}}"
    if sign in _LOWERED[0]:
        return "_" + sign.translate(str.maketrans(*_LOWERED))
    return f"sqrt({sign[1:]})" if sign[0] == "√" else _TYPED.get(sign, sign)


def _tokens(text: str) -> list[_Token]:
    result, at = [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        letter = _OF_LETTER.match(text, at)
        found = letter or _TOKEN.match(text, at)
        assert found
        kind = "name" if letter else str(found.lastgroup)
        result.append(_Token(kind, found[0], at, found.end()))
        at = found.end()
        if letter and text[at] == "-":  # the word after it
            end = re.compile(r"-\w+").match(text, at)
            assert end
            result.append(_Token("text", end[0], at, end.end()))
            at = end.end()
    return [*result, _Token("end", "", len(text) + 9, len(text) + 9)]


def _operates(token: _Token) -> bool:
    return token.kind in ("relation", "ellipsis") or token.text in _SIGNS


def _names(whole: str) -> frozenset[str]:
    """Words that stand beside an operator, or have an index, somewhere in a docstring."""
    beside = re.findall(r"\b([a-z]{2,})(?= (?:[-+*/=]|<=|>=|<|>) |\[|_[a-z]\b)", whole)
    return frozenset({*beside, *re.findall(r" (?:[-+*/=]|<=|>=|<|>) +([a-z]{2,})\b", whole)} - _WORDS)


@dataclass
class _Part:
    """A piece of a formula; `long`: a name or a bracket, which is set apart from its neighbours."""

    latex: str
    long: bool = False
    telling: bool = True  # that there is a formula: a number or an ellipsis alone is none
    parts: tuple[_Part, ...] = ()


class _Reader:
    def __init__(self, text: str, whole: str, displayed: bool) -> None:
        self.text, self.whole, self.displayed = text, whole, displayed
        self.tokens = _tokens(text)
        self.at = 0

    @cached_property
    def names(self) -> frozenset[str]:
        return _names(self.whole)

    # Tokens.

    def _token(self, ahead: int = 0) -> _Token:
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def _glued(self, ahead: int = 0) -> bool:
        """Whether nothing stands between this token and the one before."""
        here = self.at + ahead
        return 0 < here < len(self.tokens) and self.tokens[here - 1].stop == self.tokens[here].start

    def _gap(self) -> int:
        return self._token().start - self.tokens[self.at - 1].stop if self.at else 0

    def _take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1].text

    def _is(self, *texts: str) -> bool:
        return self._token().text in texts

    # The whole text.

    def found(self) -> list[Span]:
        result: list[Span] = []
        while self._token().kind != "end":
            start = self.at
            try:
                part = self._formula()
                if not part.telling and not self.displayed:
                    raise _NoFormulaError
            except _NoFormulaError:
                self.at = start + 1
                part = self._alone(self.tokens[start])
                if part is None:
                    continue
            first, *more = _pieces(list(part.parts) or [part])
            pieces = (rf"\quad {first}" if self._wide(start) else first, *more)
            latex = " ".join(piece.removeprefix("{}") for piece in pieces)
            result.append(Span(self.tokens[start].start, self.tokens[self.at - 1].stop, latex, pieces))
        return result

    def _wide(self, start: int) -> bool:
        """Whether a formula is set apart from what is before it."""
        gap = self.tokens[start].start - self.tokens[start - 1].stop if start else 0
        return gap > 2 and not self.displayed

    def _alone(self, token: _Token) -> _Part | None:
        """An operator with words beside it; where formulas are displayed, also a bracket that closes elsewhere."""
        if token.kind == "relation":
            return _Part(_RELATIONS[token.text])
        if self.displayed and token.text == "*":
            return _Part(r"\ast")
        if self.displayed and token.text in ("(", ")", "[", "]", "+", "-", "/"):
            return _Part(_SIGNS.get(token.text, token.text))
        return None

    # Formulas.

    def _formula(self, closing: str = "", words: bool = False) -> _Part:
        """Operands and what is between them, as far as that goes; up to a bracket, if it is in one."""
        parts: list[_Part] = []
        if self._is("-", "+") and (closing or self._glued(1) or self.displayed):
            parts.append(_Part(self._take(), telling=False))
        parts.append(self._operand(words))
        while not self._is(closing or "\0") and self._token().kind != "end":
            start = self.at
            try:
                parts += self._more(words)
            except _NoFormulaError:
                self.at = start
                break
        telling = len(parts) > 1 or parts[0].telling
        return _Part(_joined(parts), any(part.long for part in parts), telling, tuple(parts))

    def _more(self, words: bool) -> list[_Part]:
        """An operator and what it is followed by, or another factor."""
        token = self._token()
        if token.kind == "relation" or token.text in {**_SIGNS, **_BETWEEN}:
            operator = {**_RELATIONS, **_SIGNS, **_BETWEEN}[token.text]
            self._take()
            signs = [_Part(f" {operator} ")]
            if self._is("-") and self._glued(1):
                signs.append(_Part(self._take()))
            return [*signs, self._operand(words)]
        if token.text == "x" and self._is_times():
            self._take()
            return [_Part(r" \times "), self._operand(words)]
        apart = self._gap() > 1 and not words and token.kind != "ellipsis"
        before = self.tokens[self.at - 1]
        behind_word = before.kind == "name" and len(before.text) > 1 and before.text != "sqrt"
        if apart or (token.kind == "number" and behind_word):
            raise _NoFormulaError
        return [self._operand(words, factor=True)]

    def _is_times(self) -> bool:
        before, after, second = self.tokens[self.at - 1], self._token(1), self._token(2)
        kinds = ("[a-z]", "[A-Z]", r"\d+")
        alike = any(re.fullmatch(kind, before.text) and re.fullmatch(kind, after.text) for kind in kinds)
        return not self._glued() and not self._glued(1) and alike and second.text not in ("(", "[", "_", "^", "'")

    def _operand(self, words: bool = False, factor: bool = False) -> _Part:
        token = self._token()
        if token.kind == "ellipsis":
            self._take()
            return _Part(r" \ldots ", telling=False)
        if token.kind == "number":
            self._take()
            return self._with_indices(_Part(token.text.replace(",", "{,}"), telling=False))
        if token.text == "|":
            return self._with_indices(self._bars())
        if token.text in _BRACKETS:
            return self._with_indices(self._group(words=words))
        if token.kind in ("name", "code"):
            return self._name(words, factor)
        if token.text == ":" and self.at and self.tokens[self.at - 1].text == "[":  # all of an axis
            self._take()
            return _Part("{:}", telling=False)
        if words and token.text == ".":  # any argument
            self._take()
            return _Part(r"\cdot\,", telling=False)
        raise _NoFormulaError

    def _name(self, words: bool, factor: bool) -> _Part:
        """A letter, or a word that is a name of something; `words`: or any other."""
        token, before = self._token(), self.tokens[self.at - 1] if self.at else None
        name = self._take()
        part = self._code(token, words) if token.kind == "code" else self._known(name) or self._letter(name)
        if part is not None:
            article = (
                name in ("a", "A") and not (self._is_indexed() or words) and self._is_article(name, before, factor)
            )
            if article:
                raise _NoFormulaError
            return self._with_indices(part)
        if self._is_name(token, factor):
            return self._with_indices(_Part(_FUNCTIONS.get(name) or _upright(name), long=True))
        if name in ("max", "min") and factor and (len(self._token().text) == 1 or self._token().text in _LARGE):
            return _Part(_FUNCTIONS[name] + " ")
        if words:
            return _Part(r" \in ") if name == "in" else _Part(rf"~\text{{{name}}}~")
        raise _NoFormulaError

    def _is_indexed(self) -> bool:
        """Whether what was taken has an index, an exponent, a prime or arguments."""
        if not self._glued() or self._is("'"):
            return self._glued() and (len(self.tokens[self.at - 1].text) == 1 or self._token(1).text == "(")
        return self._is("_", "^", "[", "(")

    def _code(self, token: _Token, words: bool) -> _Part:
        """A name of several words, `score_low`."""
        if not (words or self._beside(token) or (self._glued() and self._is("[", "("))):
            raise _NoFormulaError
        head, *rest = token.text.split("_")
        split = rf"{_upright(head)}_{{{_upright(rest[0])}}}"
        return _Part(split if len(rest) == 1 else _upright(token.text), long=True)

    def _known(self, name: str) -> _Part | None:
        """What has a sign of its own, or is set in a way of its own."""
        indexed = self._is_indexed()
        if name in _LARGE and indexed and self._is("_"):
            return self._large(_LARGE[name])
        if name == "sqrt" and indexed and self._is("("):
            return _Part(r"\sqrt{" + self._group(bare=True, words=True).latex + "}")
        if name == "logit" and self._token().kind == "name" and len(self._token().text) == 1:
            return self._logit()
        if name in _FUNCTIONS and indexed:
            return _Part(_FUNCTIONS[name])
        if name in _OPERATORS and indexed:
            return _Part(rf"\operatorname{{{name}}}", long=True)
        if name == "Σ":
            return _Part(r"\sum ")
        return _Part(_upright(name), long=True) if name in _CIRCUITS else None

    def _letter(self, name: str) -> _Part | None:
        if name in _GREEK:
            return _Part(rf"{{\{name}}}")
        if name in _SHORT:
            return _Part(_SHORT[name])
        return _Part(name) if len(name) == 1 else None

    def _is_name(self, token: _Token, factor: bool) -> bool:
        """Whether a word, which was taken, is a name and no English."""
        if token.text in _WORDS:
            return self._glued() and self._is("_")
        if (self._is_indexed() and self._may_be_indexed()) or self._beside(token):
            return True
        known = factor and token.text in self.names and self._token().kind != "name"
        return known or re.fullmatch(r"[a-z]\d", token.text) is not None

    def _logit(self) -> _Part:
        """That of an output such as o or j+1."""
        output = self._take()
        if self._is("+", "-") and self._glued() and self._glued(1):
            output += f"{{{self._take()}}}{self._take()}"
        return self._with_indices(_Part(rf"\operatorname{{logit}} {output}"))

    def _may_be_indexed(self) -> bool:
        """Whether a word before a bracket is a name: not if words are in the bracket."""
        if not self._is("(", "["):
            return True
        start = self.at
        try:
            self._group()
        except _NoFormulaError:
            return False
        finally:
            self.at = start
        return True

    def _beside(self, name: _Token) -> bool:
        """Whether an operator stands beside a name."""
        here = self.tokens.index(name)
        before, after = self.tokens[here - 1] if here else None, self._token()
        if after.kind == "ellipsis" and name.text in self.names:
            return True
        spaced = after.kind == "relation" or after.start - name.stop == self._token(1).start - after.stop
        words_follow = after.text in _SIGNS and self._token(1).text in _WORDS
        if _operates(after) and after.kind != "ellipsis" and spaced and not words_follow:
            return True
        return before is not None and _operates(before) and not (name.kind == "code" and before.kind == "ellipsis")

    def _is_article(self, name: str, before: _Token | None, factor: bool) -> bool:
        """Whether "a" or "A", which was taken, is no letter."""
        after = self._token()
        if after.kind in ("text", "code", "number"):
            return not factor
        if after.kind == "end":
            return self.text[-1:] == " "  # code follows
        if after.kind != "name":
            return after.text in _BRACKETS and not self._glued() and not self._may_be_indexed()
        begins = before is None or before.text in (".", ":")
        if len(after.text) == 1:
            operand = factor or (before is not None and (_operates(before) or before.text in (*_BRACKETS, "|")))
            return not operand and (begins or (name == "a" and before is not None and before.text not in _BEFORE_A))
        many = before is not None and before.text in _BEFORE_A and after.text.endswith("s")
        if after.text in _CIRCUITS or after.text in _AFTER_A or many:
            return False
        indexed = self._token(1).text in ("[", "(", "_") and self._glued(1)
        named = after.text in self.names and (indexed or self._token(1).text in ("+", "-", "<", "=", "."))
        operand = factor or before is None or before.kind in ("other", "relation")
        return not (operand and (named or indexed))

    def _large(self, latex: str) -> _Part:
        """A sum or the like: its index belongs below it, and is no argument."""
        self._take()
        index = self._index()
        if self._glued() and self._is("'"):
            self._take()
            index += "'"
        return _Part(f"{latex}_{{{index}}} ", telling=True)

    # Indices, exponents, arguments.

    def _with_indices(self, part: _Part) -> _Part:
        latex, below, above = part.latex, False, False
        while self._glued():
            token = self._token()
            start = self.at
            try:
                if token.text == "_":
                    self._take()
                    latex = f"{{{latex}}}" if below else latex
                    latex, below, above = f"{latex}_{{{self._index()}}}", True, above and not below
                elif token.text == "^":
                    self._take()
                    exponent = self._exponent()
                    if exponent is None and latex.isdigit():
                        raise _NoFormulaError
                    if exponent is None:
                        latex = rf"\widehat{{{latex}}}" if part.long else rf"\hat{{{latex}}}"
                    else:
                        latex = f"{{{latex}}}" if above else latex
                        latex, above = f"{latex}^{{{exponent}}}", True
                elif token.text == "'" and not above:
                    self._take()
                    latex, above = f"{latex}'", True
                    if self._glued() and self._is("^"):
                        latex, above = f"{{{latex}}}", False
                elif token.text in "([" and token.kind == "other":
                    latex += self._group(words=True).latex
                    part = _Part(latex, long=True)
                elif token.text in "+-" and self._is_mark():
                    self._take()
                    latex = rf"\bar{{{latex}}}" if token.text == "-" else f"{latex}^{{{{+}}}}"
                else:
                    break
            except _NoFormulaError:
                self.at = start
                break
        return _Part(latex, part.long, part.telling or latex != part.latex)

    def _is_mark(self) -> bool:
        """Whether a sign belongs to what is before it, and is followed by no operand."""
        if self._is("-") and not re.fullmatch("[A-Z]", self.tokens[self.at - 1].text):
            return False
        return not self._glued(1) or self._token(1).text in ("|", "[", "^", ")", ",")

    def _index(self) -> str:
        if not self._glued():
            raise _NoFormulaError
        token = self._token()
        if token.text == "{":
            return self._group(bare=True, words=True).latex
        if token.text == "(":
            return rf"\mathord{{{self._group(bare=True, words=True).latex}}}"
        if token.kind == "number":
            latex = self._take()
            return latex + (self._take() if self._glued() and self._token().kind == "name" else "")
        if token.kind not in ("name", "code"):
            raise _NoFormulaError
        self._take()
        latex = _upright(token.text) if len(token.text) > 2 or token.text == "in" else token.text
        latex = rf"\{token.text} " if token.text in _GREEK else latex
        primed = len(token.text) == 1 and token.text.islower() and re.search(rf"(?<![\w^_]){token.text}'", self.whole)
        if self._glued() and self._is("'") and primed:
            self._take()
            latex += "'"
        return latex

    def _exponent(self) -> str | None:
        """What is behind ^, or None if it is a hat."""
        token = self._token()
        if not self._glued():
            return None
        sign = ""
        if token.text == "-":
            sign = self._take()
            token = self._token()
        if token.text == "{":
            return sign + self._group(bare=True, words=True).latex
        if token.text == "(":
            start = self.at
            inner = self._group(bare=True, words=True).latex
            if not sign and ("," in inner or re.fullmatch(r"\w", inner)):
                self.at = start
                return None
            return rf"{sign}({inner})" if sign else rf"\mathord{{{inner}}}"
        if token.text == "|" and self._glued(1) and re.match(r"\w", self._token(1).text):
            return sign + self._bars().latex
        if token.kind == "number":
            latex = self._take()
            return sign + latex + (self._take() if self._glued() and self._token().kind == "name" else "")
        if token.kind in ("name", "code"):
            name = self._take()
            if name == "T":
                return r"\mathsf{T}"
            return sign + (rf"\{name} " if name in _GREEK else name if len(name) < 3 else _upright(name))
        if sign:
            raise _NoFormulaError
        return None

    # Brackets.

    def _group(self, bare: bool = False, words: bool = False) -> _Part:
        """From a bracket to the one that closes it; `bare`: without them; `words` may be inside."""
        opening = self._take()
        closing = _BRACKETS[opening]
        latex = ""
        while not self._is(closing):
            if latex.endswith(" ") or not latex:
                latex += self._formula(closing, words or opening == "{").latex
            if self._is(",", ";", ":"):
                separator = self._take()
                latex += separator + (" " if separator == "," else r"\, ")
            elif not self._is(closing):
                raise _NoFormulaError
        self._take()
        latex = re.sub(r"~[ ~]*(?:\\,)?", "~", latex.strip()).strip("~")
        if bare:
            return _Part(latex)
        if opening == "[" and ";" in latex:
            rows = re.sub(r"(?<!\\),", " &", latex).replace(r";\,", r" \\")
            return _Part(rf"\begin{{bmatrix}} {rows} \end{{bmatrix}}", long=True)
        shown = {"{": (r"\{", r"\}")}.get(opening, (opening, closing))
        return _Part(f"{shown[0]}{latex}{shown[1]}", long=True, telling=not re.fullmatch(r"\d*", latex))

    def _bars(self) -> _Part:
        """From a bar to the one that closes it."""
        self._take()
        if not self._glued():
            raise _NoFormulaError
        if self._is("."):
            self._take()
            inner = r"\cdot\,"
        else:
            one_word = self._token().kind == "name" and self._token(1).text == "|" and self._glued(1)
            inner = self._formula("|", words=one_word).latex.strip("~")
        if not self._is("|"):
            raise _NoFormulaError
        self._take()
        return _Part(rf"\lvert {inner} \rvert ", long=True)


def _pieces(parts: list[_Part]) -> list[str]:
    """A formula cut at relations and signs, if it is long."""
    if _letters(parts) < 30:
        return [_joined(parts)]
    pieces: list[list[_Part]] = [[]]
    for part in parts:
        least = {"+": 16, "-": 16}.get(part.latex.strip(), 4 if part.latex.strip() in _RELATIONS.values() else None)
        if least and part.latex[0] == " " and _letters(pieces[-1]) >= least:
            pieces.append([])
        pieces[-1].append(part)
    # In front of a sign there is something, so that it stands between two operands.
    return [("{}" if i and piece[0].latex.strip() in "+-" else "") + _joined(piece) for i, piece in enumerate(pieces)]


def _letters(parts: list[_Part]) -> int:
    """About how wide this is, in letters."""
    return len(re.sub(r"\\[a-z]+|[{}_^ ]", "", "".join(part.latex for part in parts)))


def _upright(name: str) -> str:
    escaped = name.replace("_", r"\_")
    return rf"\mathrm{{{escaped}}}"


def _joined(parts: list[_Part]) -> str:
    """Side by side, with a thin space between factors one of which is long."""
    latex = parts[0].latex
    for before, after in pairwise(parts):
        touching = not latex.endswith(" ") and not after.latex.startswith(" ")
        thin = (before.long or after.long) and touching and not latex.endswith(("+", "-"))
        latex += (r"\," if thin else " " if touching else "") + after.latex
    return latex


#: Commands with an argument, and what stood before and behind it.
_AROUND = {
    r"\mathord": ("(", ")"),
    r"\sqrt": ("sqrt(", ")"),
    r"\hat": ("", "^"),
    r"\widehat": ("", "^"),
    r"\bar": ("", "-"),
}
_BACK = {
    **{command: text for text, command in {**_RELATIONS, **_SIGNS}.items()},
    r"\cdot\,": ".",
    r"\varepsilon": "eps",
    r"\infty": "inf",
    r"\lvert": "|",
    r"\rvert": "|",
    r"\ldots": "...",
    r"\times": "x",
    r"\bmod": "mod",
    "~": "",
    r"\ast": "*",
    r"\{": "",
    r"\}": "",
    r"\_": "_",
    **dict.fromkeys((r"\mathrm", r"\operatorname", r"\mathsf", r"\text", r"\quad", r"\,", r"\ "), ""),
}


def _matrix(found: re.Match[str]) -> str:
    return "[" + found[1].replace("&", ",").replace(r"\\", ";") + "]"


def plain(latex: str) -> str:
    """What LaTeX that was made here was made of, but for spaces and braces."""
    result, behind = "", ""
    closing: list[str] = []  # what stood behind the braces that are open
    latex = latex.replace("^{{+}}", "+")
    latex = re.sub(r"\\begin\{bmatrix\}(.*?)\\end\{bmatrix\}", _matrix, latex)
    latex = re.sub(r"\\(?:begin\{alignedat\}\{\d+\}|end\{alignedat\}|hspace\{[\d.]+em\}|\\)|&", "", latex)
    for token in re.findall(r"\\cdot\\,|\\[A-Za-z]+|\\.|\S", latex):
        if token in _AROUND:
            before, behind = _AROUND[token]
            result += before
        elif token == "{":
            closing.append(behind)
            behind = ""
        elif token == "}":
            result += closing.pop()
        else:
            result += _BACK.get(token, token.removeprefix("\\"))
    return result
