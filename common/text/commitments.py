"""Tells whether a sentence of the draft commits to something that only the full may say. Pure.

A sentence passes through three steps, in each language whose letters it has. Phrases that look like a
commitment and are none ("one moment", "let me check") are removed. So are clauses that only ask ("whether it
was sent"), except for dates and amounts. What is left commits if one of the language's lists matches it.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from common.text.commitment_rules import CHINESE, ENGLISH, RUSSIAN
from common.text.own_rules import WrongRule, finds

MAX_SENTENCE = 1_000
"""The longest sentence that is examined, in characters. A longer one counts as a commitment."""

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
    """Return what a sentence commits to: `date`, `amount`, `done`, `answer`, `promise`, `custom`, `long`;
    None if nothing.

    `extra` are a profile's own regular expressions, matched against the unchanged sentence regardless of
    case. An invalid one, which a former version may have stored, holds every sentence, as what it should hold
    is unknown.
    """
    if len(sentence) > MAX_SENTENCE:
        return "long"
    try:
        if extra and finds(extra, sentence):
            return "custom"
    except WrongRule:
        return "custom"
    text = " ".join(sentence.translate(_PLAIN).split()).lstrip(_LEAD)
    lower = text.lower()
    # A sentence without letters, such as "20 $", reads the same in any language.
    for language in [each for each in _LANGUAGES if each.letters.search(lower)] or _LANGUAGES[:1]:
        kind = _kind(language, lower)
        if kind:
            return kind
    return "date" if _MONTH.search(text) else None


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
    """Return a language's entries by name, each as one group.

    An entry begins with `NAME:` and has its alternatives one a line, or with `|` between them. A line that
    begins with spaces continues the one before. `(` stands for `(?:`, and `<NAME>` for an earlier entry.
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
