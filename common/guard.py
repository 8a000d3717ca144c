"""Whether a sentence of the draft commits to something that only the full may say. Pure.

A guard errs on the safe side: what it holds costs a bridge, what it lets out cannot be taken back.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from common.guard_rules import CHINESE, ENGLISH, RUSSIAN, SIMPLIFIED, Rules

MAX_RULE = 200  # characters of a profile's own expression
MAX_SEARCHED = 2_000  # characters of a sentence that a profile's own expressions see
MAX_WAYS = 20_000  # in which such an expression may try to match from one place

_HARMLESS = "§"
_PLAIN = str.maketrans(
    SIMPLIFIED
    | {chr(wide): chr(wide - 0xFEE0) for wide in range(0xFF01, 0xFF5F)}
    | dict.fromkeys('*_`~"#“”„«»‹›「」『』《》〝〞¿¡\u200b\u200c\u200d\u2060\ufeff\u00ad', "")
    | dict.fromkeys("‘’ʼ´", "'")
    | dict.fromkeys("‐‑‒–—―−", "-")
    | {"。": ".", "、": ",", "…": ".", "ё": "е", "Ё": "е", _HARMLESS: " "}
)
_LEAD = " '-.,!([{•>|+"
_ASKS = re.compile(r"\?[ !?.)'\]]*$|[吗呢么][ !.)'\]]*$")
# Two of the months are words as well; their capital tells, unless the sentence begins with it.
_MONTH = re.compile(r"(?<=[a-z,] )(?:May|March)\b(?! (?:I|we|you)\b)")


class _Table(NamedTuple):
    kind: str
    where: str
    pattern: re.Pattern[str]


class _Language(NamedTuple):
    letters: re.Pattern[str]
    harmless: re.Pattern[str]
    asked: re.Pattern[str]
    tables: tuple[_Table, ...]


def commits(sentence: str, extra: Sequence[str] = ()) -> str | None:
    """What a draft's sentence commits to: `date`, `amount`, `done`, `promise`, `answer`, `custom`, or None.

    It is checked by every language of which it has a letter. `extra` are a profile's own regular
    expressions, which see the sentence as it is. Raises ValueError as `check_rules` does.
    """
    if extra:
        head = sentence[:MAX_SEARCHED]
        if any(rule.search(head) for rule in _own_rules(tuple(extra))):
            return "custom"
    text = " ".join(sentence.translate(_PLAIN).split()).lstrip(_LEAD)
    lower = text.lower()
    spoken = [language for language in _LANGUAGES if language.letters.search(lower)]
    for language in spoken or _LANGUAGES[:1]:
        kind = _kind(language, lower)
        if kind:
            return kind
    return "date" if _MONTH.search(text) else None


def check_rules(extra: Sequence[str]) -> None:
    """Raises ValueError, naming the rule, where a profile's own expression is invalid or could be slow."""
    _own_rules(tuple(extra))


def _kind(language: _Language, text: str) -> str | None:
    bare = language.harmless.sub(_HARMLESS, text)
    said = language.asked.sub(_HARMLESS, bare)
    asks = _ASKS.search(text) is not None
    for table in language.tables:
        if asks and table.where == "stated":
            continue
        if table.pattern.search(bare if table.where == "all" else said):
            return table.kind
    return None


# --- compiling -------------------------------------------------------------------------------------------


def _lines(table: str) -> str:
    """A table's lines as one alternation; a line that begins with spaces goes on with the one before."""
    return "|".join(re.sub(r"\n +", "", table).strip().splitlines())


def _compile(letters: str, rules: Rules) -> _Language:
    fragments: dict[str, str] = {}

    def filled(text: str) -> str:
        return re.sub(r"<([A-Z]+)>", lambda found: fragments[found[1]], text)

    def compiled(table: str) -> re.Pattern[str]:
        return re.compile(f"{rules.start}(?:{filled(_lines(table))})")

    for name, fragment in rules.fragments.items():
        fragments[name] = filled(fragment)
    return _Language(
        re.compile(f"[{letters}]"),
        compiled(rules.harmless),
        re.compile(filled(rules.asked)),
        tuple(_Table(table.kind, table.where, compiled(table.lines)) for table in rules.tables),
    )


_LANGUAGES = (
    _compile("a-zà-ɏ", ENGLISH),
    _compile("㐀-䶿一-鿿", CHINESE),
    _compile("а-яѐ-ӿ", RUSSIAN),
)


# --- a profile's own expressions ---------------------------------------------------------------------------


@lru_cache(maxsize=1_024)
def _own_rules(extra: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    return tuple(map(_own_rule, extra))


def _own_rule(rule: str) -> re.Pattern[str]:
    if len(rule) > MAX_RULE:
        raise ValueError(f"guard rule {rule[:40]!r}… is longer than {MAX_RULE} characters")
    try:
        pattern = re.compile(rule, re.IGNORECASE)
        if pattern.search("") is not None:
            raise ValueError("matches anything")
        if _Ways(rule).count() > MAX_WAYS:
            raise ValueError("could be too slow: repeat less, and nothing that repeats or branches inside")
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"guard rule {rule!r}: {error}") from None
    return pattern


class _Ways:
    """How many ways a valid expression has to try a match from one place, at most."""

    _ATOM = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[^\\]", re.DOTALL)
    _GROUP = re.compile(r"\((?:\?(?:[:=!>]|<[=!]|P<\w+>))?(?!\?)")
    _REPEAT = re.compile(r"([*+?]|\{(\d*)(,?)(\d*)\})[?+]?")

    def __init__(self, rule: str) -> None:
        self._rule = rule
        self._at = 0

    def count(self) -> int:
        """Of the alternatives from here to the end of the group."""
        total, ways = 0, 1
        while self._at < len(self._rule) and self._rule[self._at] != ")":
            if self._rule[self._at] == "|":
                self._at += 1
                total, ways = total + ways, 1
            else:
                ways = min(ways * self._repeated(self._one()), MAX_WAYS + 1)
        return min(total + ways, MAX_WAYS + 1)

    def _one(self) -> int:
        if self._rule[self._at] == "(":
            group = self._GROUP.match(self._rule, self._at)
            if group is None:
                raise ValueError("flags, comments, conditions and backreferences are not for guard rules")
            self._at = group.end()
            ways = self.count()
            self._at += 1
            return ways
        atom = self._ATOM.match(self._rule, self._at)
        assert atom is not None  # the expression is valid
        if re.fullmatch(r"\\[1-9]", atom[0]):
            raise ValueError("flags, comments, conditions and backreferences are not for guard rules")
        self._at = atom.end()
        return 1

    def _repeated(self, ways: int) -> int:
        found = self._REPEAT.match(self._rule, self._at)
        if found is None or (found[1] in ("{}", "{,}") and False):
            return ways
        self._at = found.end()
        sign, low, comma, high = found[1], found[2], found[3], found[4]
        least = int(low or 0) if sign[0] == "{" else int(sign == "+")
        most = MAX_SEARCHED if sign in "*+" else 1 if sign == "?" else int(high) if high else MAX_SEARCHED
        if sign[0] == "{" and not comma:
            most = least
        most = min(most, MAX_SEARCHED)
        if ways == 1:
            return most - least + 1
        return (
            min(sum(ways**times for times in range(least, min(most, 16) + 1)), MAX_WAYS + 1)
            if most <= 16
            else MAX_WAYS + 1
        )
