"""Whether a sentence of the draft commits to something that only the full may say. Pure.

A sentence passes through three steps, in each language of which it has a letter. What looks like a
commitment and is none ("one moment", "let me check") is read as nothing. So is a clause that only asks
("whether it was sent"), save for dates and amounts. What is left commits if a list of the language finds
something in it.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from common.guard_rules import CHINESE, ENGLISH, RUSSIAN

MAX_RULE = 200  # characters of a profile's own expression
MAX_SEARCHED = 2_000  # characters of a sentence that a profile's own expressions see
MAX_WAYS = 10_000  # in which such an expression may try to match from one place

# The lists of a language in the order in which they are tried, what they find, and where they look:
# everywhere; not in clauses that only ask; nor in the last clause of a question.
_LISTS = (
    ("DATE", "date", "all"),
    ("AMOUNT", "amount", "all"),
    ("SPAN", "date", "stated"),
    ("DONE", "done", "said"),
    ("ANSWER", "answer", "said"),
    ("PROMISE", "promise", "said"),
    ("STATED", "answer", "stated"),
)
_NOTHING = "§"
# Traditional characters, as far as the rules use their simplified ones.
_TRADITIONAL = (
    "這為幫給會將經辦單訂發貨錢點鐘週禮個內兩萬億後當對確實沒錯馬請問題讓們說嗎麼動時間處決應該預約讀找餘額費"
    "運難過開關證訊電話聯繫員險換補償還來無現種樣體責擔號碼終屬斷記錄從較業務賬帳戶產總價幾歲數續遲壞聽見覺試"
)
_SIMPLIFIED = (
    "这为帮给会将经办单订发货钱点钟周礼个内两万亿后当对确实没错马请问题让们说吗么动时间处决应该预约读找余额费"
    "运难过开关证讯电话联系员险换补偿还来无现种样体责担号码终属断记录从较业务账账户产总价几岁数续迟坏听见觉试"
)
_PLAIN = str.maketrans(
    str.maketrans(_TRADITIONAL, _SIMPLIFIED)
    | {chr(wide): chr(wide - 0xFEE0) for wide in range(0xFF01, 0xFF5F)}
    | dict.fromkeys('*_`~"#“”„«»‹›「」『』《》〝〞¿¡\u200b\u200c\u200d\u2060\ufeff\u00ad', "")
    | dict.fromkeys("‘’ʼ´", "'")
    | dict.fromkeys("‐‑‒–—―−", "-")
    | {"。": ".", "、": ",", "…": ".", "ё": "е", "Ё": "е", _NOTHING: " "}
)
_LEAD = " '-.,!([{•>|+"
_ASKS = re.compile(r"\?[ !?.)'\]]*$|[吗呢么][ !.)'\]]*$")
# Two months are words as well: their capital tells, unless the sentence begins with it.
_MONTH = re.compile(r"(?<=[a-z,] )(?:May|March)\b(?! (?:I|we|you)\b)")


class _List(NamedTuple):
    pattern: re.Pattern[str]
    kind: str
    where: str


class _Language(NamedTuple):
    letters: re.Pattern[str]
    harmless: re.Pattern[str]
    asked: re.Pattern[str]
    lists: tuple[_List, ...]


def commits(sentence: str, extra: Sequence[str] = ()) -> str | None:
    """What a sentence commits to: `date`, `amount`, `done`, `answer`, `promise`, `custom`, or None.

    `extra` are a profile's own regular expressions: they see the sentence as it is, and no case.
    Raises ValueError as `check_rules` does.
    """
    if extra:
        head = sentence[:MAX_SEARCHED]
        if any(rule.search(head) for rule in _own_rules(tuple(extra))):
            return "custom"
    text = " ".join(sentence.translate(_PLAIN).split()).lstrip(_LEAD)
    lower = text.lower()
    # A bare "20 $" is as good in any language.
    for language in [each for each in _LANGUAGES if each.letters.search(lower)] or _LANGUAGES[:1]:
        kind = _kind(language, lower)
        if kind:
            return kind
    return "date" if _MONTH.search(text) else None


def check_rules(extra: Sequence[str]) -> None:
    """Raises ValueError, naming the rule, where a profile's own expression is invalid or could be slow."""
    _own_rules(tuple(extra))


def _kind(language: _Language, text: str) -> str | None:
    bare = language.harmless.sub(_NOTHING, text)
    said = language.asked.sub(_NOTHING, bare)
    stated = said
    if _ASKS.search(text):  # "You can return it, anything else?" states something all the same
        stated = said[: max(map(said.rfind, ",;:")) + 1]
    texts = {"all": bare, "said": said, "stated": stated}
    for each in language.lists:
        if each.pattern.search(texts[each.where]):
            return each.kind
    return None


# --- reading the rules -----------------------------------------------------------------------------------


def _entries(rules: str) -> dict[str, str]:
    """A language's entries by name, each as one group.

    An entry begins with `NAME:` and has its alternatives a line each or with `|` between them; a line that
    begins with spaces goes on with the one before. `(` stands for `(?:`, and `<NAME>` for an earlier entry.
    """
    lines: dict[str, list[str]] = {}
    name = ""
    for line in re.sub(r"\n +", "", rules).split("\n"):
        head, colon, rest = line.partition(":")
        if colon and head.isalpha() and head.isupper():
            name, line = head, rest.strip()
        if line and not line.startswith("#"):
            lines.setdefault(name, []).append(line)
    entries: dict[str, str] = {}
    for name, alternatives in lines.items():
        entry = re.sub(r"(?<!\\)\((?!\?)", "(?:", "|".join(alternatives))
        entries[name] = "(?:" + re.sub("<([A-Z]+)>", lambda found: entries[found[1]], entry) + ")"
    return entries


def _compile(letters: str, rules: str) -> _Language:
    entries = _entries(rules)
    start = entries.get("START", "")
    return _Language(
        re.compile(f"[{letters}]"),
        re.compile(start + entries["HARMLESS"]),
        re.compile(entries["ASKED"]),
        tuple(_List(re.compile(start + entries[name]), kind, where) for name, kind, where in _LISTS),
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
        if pattern.search(""):
            raise ValueError("it matches anything")
        if _Ways(rule).count() > MAX_WAYS:
            raise ValueError("it could be slow: repeat less, and nothing that itself repeats or branches")
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"guard rule {rule!r}: {error}") from None
    return pattern


class _Ways:
    """How many ways a valid expression has to try a match from one place, at most.

    Short expressions and short texts alone are no bound: `(a+)+$` is slow on thirty letters.
    """

    _ATOM = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[^\\]", re.DOTALL)
    _GROUP = re.compile(r"\((?:\?(?:[:=!>]|<[=!]|P<\w+>))?(?!\?)")
    _REPEAT = re.compile(r"(?:([*+?])|\{(?!\})(\d*)(,?)(\d*)\})[?+]?")

    def __init__(self, rule: str) -> None:
        self._rule = rule
        self._at = 0

    def count(self) -> int:
        """From here to the end of the group."""
        total, ways = 0, 1
        while self._at < len(self._rule) and self._rule[self._at] != ")":
            if self._rule[self._at] == "|":
                self._at += 1
                total, ways = total + ways, 1
            else:
                ways = min(self._repeated(self._one()) * ways, MAX_WAYS + 1)
        return total + ways

    def _one(self) -> int:
        """Of a group or a single character."""
        if self._rule[self._at] != "(":
            atom = self._ATOM.match(self._rule, self._at)
            if atom is None or re.fullmatch(r"\\[1-9]", atom[0]):
                raise ValueError("it refers back")
            self._at = atom.end()
            return 1
        group = self._GROUP.match(self._rule, self._at)
        if group is None:
            raise ValueError("it has flags, a comment, a condition, or refers back")
        self._at = group.end()
        ways = self.count()
        self._at += 1
        return ways

    def _repeated(self, ways: int) -> int:
        found = self._REPEAT.match(self._rule, self._at)
        if found is None:
            return ways
        self._at = found.end()
        sign, low, comma, high = found.groups()
        least = int(low or 0) if sign is None else int(sign == "+")
        most = MAX_SEARCHED
        if sign == "?":
            most = 1
        elif high or (sign is None and not comma):
            most = min(int(high or least), MAX_SEARCHED)
        if ways == 1:
            return max(most - least + 1, 1)
        return sum(min(ways**times, MAX_WAYS + 1) for times in range(min(least, 20), min(most, 20) + 1))
