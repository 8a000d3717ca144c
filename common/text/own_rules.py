"""A profile's own guard rules: Python's regular expressions, searched by RE2 in linear time. Pure.

RE2 knows word characters and boundaries in ASCII only, so a Russian rule with `\\b` would silently guard
nothing. So the text is marked before it is searched: each place where a word begins or ends, and each
character that belongs to no word. A rule is translated to match the marked text, and keeps its meaning in
Python.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import re2

MAX_RULES = 50
MAX_RULE = 200  # characters
MAX_WEIGHT = 8_000  # RE2 instructions of all rules of a profile: at worst each runs at each character

_BOUND, _OTHER = "\x01", "\x02"
_MARKS = _BOUND + _OTHER
_UNMARKED = str.maketrans(_MARKS, "  ")
_SPACES = r"\t-\r\x1c- \x85\xa0\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
_ANY = f"[^{_MARKS}]"
_MAYBE = f"{_BOUND}?"
_BEFORE = f"^(?:{_BOUND}|{_OTHER}?{_ANY})*?"  # whole steps: a match never begins behind a character's mark

_TOKEN = re.compile(
    r"""(?P<escape>\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|0[0-7]{0,2}|.))
    |(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])
    |(?P<open>\((?:\?(?::|P<\w+>))?(?!\?))
    |(?P<repeat>[*+?]|\{(?:\d+(?:,\d*)?|,\d+)\})
    |(?P<sign>[)|^$.])
    |(?P<char>[^\\(])""",
    re.DOTALL | re.VERBOSE,
)
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
# Of a kind of characters: those of it that belong to words, and the others.
_KINDS = {
    "w": (_ANY, ""),
    "W": ("", _OTHER + _ANY),
    "d": (r"\p{Nd}", ""),
    "D": (rf"[^{_MARKS}\p{{Nd}}]", _OTHER + _ANY),
    "s": ("", f"{_OTHER}[{_SPACES}]"),
    "S": (_ANY, f"{_OTHER}[^{_MARKS}{_SPACES}]"),
}


class WrongRule(ValueError):
    """A rule that is invalid or too large."""


def check_rules(rules: Sequence[str]) -> None:
    """Raise WrongRule, naming the rule, if one is invalid or they are too many or too large."""
    if len(rules) > MAX_RULES:
        raise WrongRule(f"there are more than {MAX_RULES} guard rules")
    if sum(_compile(rule).programsize for rule in rules) > MAX_WEIGHT:
        raise WrongRule("the guard rules are too large together: repeat less, or have fewer")


def finds(rules: Sequence[str], text: str) -> bool:
    """Return True if one of the rules matches anywhere in the text, regardless of case. Raises WrongRule."""
    return any(found.search(marked) for marked in [_mark(text)] for found in _own_rules(tuple(rules)))


@lru_cache(maxsize=1_024)
def _own_rules(rules: tuple[str, ...]) -> tuple["re2._Regexp", ...]:
    check_rules(rules)
    return tuple(map(_compile, rules))


@lru_cache(maxsize=4_096)
def _compile(rule: str) -> "re2._Regexp":
    if len(rule) > MAX_RULE:
        raise WrongRule(f"guard rule {rule[:40]!r}… is longer than {MAX_RULE} characters")
    options = re2.Options()
    options.case_sensitive, options.log_errors, options.never_capture = False, False, True
    try:
        re.compile(rule)  # reports mistakes in Python's own words
        found = re2.compile(f"{_BEFORE}(?:{''.join(_translate(rule))})", options)
    except (re.error, OverflowError, RecursionError, WrongRule) as error:
        raise WrongRule(f"guard rule {rule!r}: {error}") from None
    except re2.error as error:
        told = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else error
        raise WrongRule(f"guard rule {rule!r}: {str(told).partition(':')[0]}") from None
    if found.search(_mark("")):
        raise WrongRule(f"guard rule {rule!r}: it matches anything")
    if found.programsize > MAX_WEIGHT:
        raise WrongRule(f"guard rule {rule!r}: it is too large: repeat less")
    return found


def _mark(text: str) -> str:
    """Return the text with word boundaries and the characters between words marked."""
    parts, within = [], False
    for char in text.translate(_UNMARKED):
        if _is_word(char) != within:
            within = not within
            parts.append(_BOUND)
        parts.append(char if within else _OTHER + char)
    if within:
        parts.append(_BOUND)
    return "".join(parts)


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def _translate(rule: str) -> Iterator[str]:
    """Yield the parts of the expression for RE2. Raises WrongRule."""
    at, after_word = 0, False  # whether a plain character of a word went before: no bound can follow it
    while at < len(rule):
        token = _TOKEN.match(rule, at)
        if token is None:
            raise WrongRule("it looks around or back, or has flags, a comment or a condition")
        at, kind, text = token.end(), str(token.lastgroup), token[0]
        if kind == "repeat":
            if rule[at : at + 1] == "+":
                raise WrongRule("it has a possessive repetition")
            yield text.replace("{,", "{0,")
            if rule[at : at + 1] == "?":
                at += 1
                yield "?"
            after_word = False
            continue
        char = text if kind == "char" else _escaped(text) if kind == "escape" else ""
        if char:
            # A repetition that follows is of this character alone, with its marks.
            yield _literal(char, after_word and not _repeats(rule, at))
            after_word = _is_word(char)
            continue
        after_word = False
        if kind == "set":
            yield _set(text)
        elif kind == "escape":
            yield _special(text)
        elif kind == "open":
            yield "(?:"
        else:
            yield {
                "$": f"(?:{_MAYBE}{_OTHER}\\n)?{_MAYBE}\\z",
                ".": f"(?:{_MAYBE}{_OTHER}?[^{_MARKS}\\n])",
            }.get(text, text)


def _repeats(rule: str, at: int) -> bool:
    token = _TOKEN.match(rule, at)
    return token is not None and token.lastgroup == "repeat"


def _literal(char: str, after_word: bool) -> str:
    quoted = re2.escape(char) if char != "\0" else r"\x00"
    if not _is_word(char):
        return f"(?:{_MAYBE}{_OTHER}{quoted})"
    return str(quoted) if after_word else f"(?:{_MAYBE}{quoted})"


def _escaped(text: str) -> str:
    """Return the character that an escape stands for; empty if it stands for more than one."""
    name = text[1]
    if name in _CONTROLS:
        return _CONTROLS[name]
    if name in "xuU" and len(text) > 2:
        return chr(int(text[2:], 16))
    if name == "0":
        return chr(int(text[1:], 8))
    return "" if name.isascii() and name.isalnum() else name


def _special(text: str) -> str:
    name = text[1]
    if name in _KINDS:
        return f"(?:{_MAYBE}(?:{'|'.join(filter(None, _KINDS[name]))}))"
    if name == "b":
        return _BOUND
    if name == "A":
        return "^"
    if name == "Z":
        return rf"{_MAYBE}\z"
    raise WrongRule(f"it has {text}: a place within a word" if name == "B" else f"it has {text}")


def _set(text: str) -> str:
    """Return a set of characters as an expression: word characters, and the others with their marks."""
    negated = text.startswith("[^")
    items, kinds = "", set[str]()
    body = text[2 if negated else 1 : -1]
    for part in re.findall(
        r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|0[0-7]{0,2}|.)|[^\\]", body, re.DOTALL
    ):
        if part[0] != "\\":
            items += part if part == "-" else _quoted(part)
        elif part[1] in _KINDS:
            kinds.add(part[1])
        else:
            items += _quoted("\b" if part == r"\b" else _escaped(part))
    if not negated:
        either = [f"{_OTHER}?[{items}]"] if items else []
        either += [one for kind in sorted(kinds) for one in _KINDS[kind] if one]
        return f"(?:{_MAYBE}(?:{'|'.join(either)}))"
    if kinds & {"D", "S"}:
        raise WrongRule(r"it has \D or \S in a set of what is not meant")
    digits, spaces = r"\p{Nd}" if "d" in kinds else "", _SPACES if "s" in kinds else ""
    within = "" if "w" in kinds else f"[^{_MARKS}{items}{digits}]"
    other = "" if "W" in kinds else f"{_OTHER}[^{_MARKS}{items}{spaces}]"
    return f"(?:{_MAYBE}(?:{'|'.join(filter(None, (within, other)))}))"


def _quoted(char: str) -> str:
    """Return a character as it is written in a set."""
    return f"\\x{{{ord(char):x}}}"
