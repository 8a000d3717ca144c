"""Whether a sentence of the draft commits to something that only the full may say. Pure.

A guard errs on the safe side: what it holds costs a bridge, what it lets out cannot be taken back.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from common.guard_rules import CHINESE, ENGLISH, RUSSIAN

MAX_RULE = 200  # characters of a profile's own expression
MAX_SEARCHED = 2_000  # characters of a sentence that a profile's own expressions see
MAX_WAYS = 20_000  # in which such an expression may try to match from one place

_HARMLESS = "§"
_TRADITIONAL = (
    "這為幫給會將經辦單訂發貨錢點鐘週禮個內兩萬億後當對確實沒錯馬請問題讓們說嗎麼動時間處決應該預約讀找餘額費運難過開關"
    "證訊電話聯繫員險換補償還來無現種樣體責擔號碼終屬斷記錄從較業務賬帳戶產總價幾歲數續遲壞聽見覺試謝誰儘細詳"
)
_SIMPLIFIED = (
    "这为帮给会将经办单订发货钱点钟周礼个内两万亿后当对确实没错马请问题让们说吗么动时间处决应该预约读找余额费运难过开关"
    "证讯电话联系员险换补偿还来无现种样体责担号码终属断记录从较业务账账户产总价几岁数续迟坏听见觉试谢谁尽细详"
)
_PLAIN = str.maketrans(
    str.maketrans(_TRADITIONAL, _SIMPLIFIED)
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


# A language's entries in the order in which they are tried, with what they commit to, and where they count:
# anywhere; not in a clause that only asks; nor in a question.
_ORDER = (
    ("DATE", "date", "all"),
    ("AMOUNT", "amount", "all"),
    ("SPAN", "date", "stated"),
    ("DONE", "done", "said"),
    ("ANSWER", "answer", "said"),
    ("PROMISE", "promise", "said"),
    ("STATED", "answer", "stated"),
)


class _Table(NamedTuple):
    pattern: re.Pattern[str]
    kind: str
    where: str


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
    # Of a question only what stands before its last clause is stated: "You can return it, anything else?"
    stated = said if _ASKS.search(text) is None else said[: max(map(said.rfind, ",;:")) + 1]
    texts = {"all": bare, "said": said, "stated": stated}
    for table in language.tables:
        if table.pattern.search(texts[table.where]):
            return table.kind
    return None


# --- compiling -------------------------------------------------------------------------------------------


def _entries(rules: str) -> dict[str, str]:
    """The entries by name, each as one group with the entries it names filled in."""
    lines: dict[str, list[str]] = {}
    name = ""
    for line in re.sub(r"\n +", "", rules).split("\n"):
        head, colon, rest = line.partition(":")
        if colon and head.isalpha() and head.isupper():
            name, line = head, rest.strip()
        if line and not line.startswith("#"):
            lines.setdefault(name, []).append(line)
    entries: dict[str, str] = {}
    for name, parts in lines.items():
        grouped = re.sub(r"(?<!\\)\((?!\?)", "(?:", "|".join(parts))
        entries[name] = "(?:" + re.sub("<([A-Z]+)>", lambda found: entries[found[1]], grouped) + ")"
    return entries


def _compile(letters: str, rules: str) -> _Language:
    entries = _entries(rules)
    start = entries.get("START", "")
    return _Language(
        re.compile(f"[{letters}]"),
        re.compile(start + entries["HARMLESS"]),
        re.compile(entries["ASKED"]),
        tuple(_Table(re.compile(start + entries[name]), kind, where) for name, kind, where in _ORDER),
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
