"""Finding and masking personal data in what was said: card and phone numbers, e-mail addresses. Pure.

It errs on the side of masking: a number that is masked for nothing costs a reader a moment, one that stays
may cost a caller more. Masks keep a text's length and shape, so that every offset in it stays true.
"""

import re
from collections.abc import Iterator

import orjson

MASK = "x"
_FEWEST = 7  # digits of what may be a card's or a phone's number
_MOST_OF_AMOUNT = 12

# Between two digits of one number, as people and speech recognition write them: a space or two, a dot, dashes
# and parentheses with a space at either side; where somebody reads aloud, a comma and a space.
_SPACE = "[ \t\u00a0\u2000-\u200b\u202f\u3000]"
_MARK = "[-()/_~\u00b7\u2010-\u2015\u2212\u30fb\uff08\uff09\uff0d\uff0f\uff5e]"
_COMMA = rf"(?:[\uff0c\u3001]|,(?:{_SPACE}|(?=\d{{4}}(?!\d))))"
_BETWEEN = rf"(?:[.\uff0e]|{_COMMA}|{_SPACE}?{_MARK}{{1,2}}{_SPACE}?|{_SPACE}{{1,2}})"
_WORDS = (
    "zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple"
    "|ноль|нуль|один|два|две|три|четыре|пять|шесть|семь|восемь|девять"
)
_DIGIT = rf"(?:[\d〇零一二三四五六七八九幺]|\b(?:{_WORDS})\b)"
_NUMBER = re.compile(rf"{_DIGIT}(?:{_BETWEEN}?{_DIGIT})*", re.I)
_DIGITS = re.compile(_DIGIT, re.I)

# What has as many digits and is nobody's number: dates, years, amounts.
_YEAR, _MONTH, _DAY = r"(?:1\d|20)\d\d", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
_DASH = rf"{_SPACE}?[-/~\u2010-\u2015\uff5e]{_SPACE}?"
_DATE = re.compile(
    rf"(?<![-/\d])(?:{_YEAR}([-./]){_MONTH}\1{_DAY}|(?:{_DAY}([-./]){_MONTH}\2|{_MONTH}/{_DAY}/){_YEAR}"
    rf"|{_YEAR}(?:(?:{_DASH}|{_COMMA}){_YEAR})+)(?![-/\d])"
)
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?:,? \d{1,3}(?:,\d{3})+(?:\.\d+)?)*")
_DECIMAL = re.compile(r"\d{1,9}\.\d{1,2}")
_SUM = re.compile(rf"\d{{1,3}}(?:(?:{_SPACE}|\.)\d{{3}})+|\d+(?:{_DASH}\d+)?")
_CURRENCY_BEFORE = re.compile(rf"(?:[$€£¥₽]|\b(?:usd|eur|gbp|cny|rmb|rub)){_SPACE}?\Z", re.I)
_CURRENCY_AFTER = re.compile(
    rf"(?:,\d\d?(?!\d))?{_SPACE}?(?:[$€£¥₽元円块万]|usd|eur|gbp|cny|rmb|yuan|dollar|euro|pound|rub|руб|долл|евро|юан)",
    re.I,
)

# Parts of an address. Chinese is written without spaces: a name in it is no longer than its own script.
_HAN = "[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]"
_NAME = r"(?:[^\W\u2e80-\ufaff]|[.%+'-])"
_LABEL = rf"(?:(?:[^\W\u2e80-\ufaff]|-)++|{_HAN}++)"
_EMAIL = re.compile(
    rf"(?:(?<!{_NAME}){_NAME}++|(?<!{_HAN}){_HAN}++)(?:[@\uff20]{_LABEL}(?:[.\uff0e\u3002]{_LABEL})*"
    rf"|{_SPACE}?[@\uff20]{_SPACE}?{_LABEL}(?:(?:\.|{_SPACE}\.{_SPACE}){_LABEL})+)"
)
# Read aloud. A name's parts are bounded, so that a long text without an address is read once.
_DOT = rf"(?:\.|{_SPACE}(?:dot|point|точка){_SPACE}|{_SPACE}?点{_SPACE}?)"
_PART = r"(?:[^\W\u2e80-\ufaff]|[_-]){1,64}+"
_SPOKEN_EMAIL = re.compile(
    rf"\b{_PART}(?:{_DOT}{_PART}){{0,4}}+(?:{_SPACE}(?:at|собака|собачка){_SPACE}|{_SPACE}?艾特{_SPACE}?)"
    rf"{_PART}(?:{_DOT}(?!\d){_PART}){{1,4}}",
    re.I,
)
_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"|x')
_JSON_ESCAPE = re.compile(r"\\u[0-9a-fA-F]{4}")


def mask(text: str, digit: str = MASK) -> str:
    """The text with `x` for each letter and digit of what is personal in it; `digit`: another for digits."""
    while True:  # a mask is a word of its own, and may show what stands beside it
        masked = _mask_once(text, digit)
        if masked == text:
            return masked
        text = masked


def mask_json(text: str) -> str:
    """The same of a text that may be JSON, which then stays JSON: its numbers are masked by ones."""
    masked = mask(_JSON_ESCAPE.sub("\x00" * 6, text))  # the digits there are no number
    parts, done = [], 0
    for escape in _JSON_ESCAPE.finditer(text):
        parts += [masked[done : escape.start()], escape[0]]
        done = escape.end()
    masked = "".join([*parts, masked[done:]])
    if masked == text or not _is_json(text):
        return masked
    return _JSON_STRING.sub(lambda found: "1" if found[0] == MASK else found[0], masked)


def blank(text: str, digit: str = MASK) -> str:
    """All letters and digits of a text masked."""
    return re.sub(r"[^\W_]", MASK, text if digit == MASK else re.sub(r"\d", "\x00", text)).replace(
        "\x00", digit
    )


def _mask_once(text: str, digit: str) -> str:
    parts, done = [], 0
    for begin, end in sorted(_found(text)):
        if end > done:
            begin = max(begin, done)
            parts += [text[done:begin], blank(text[begin:end], digit)]
            done = end
    return "".join([*parts, text[done:]])


def _found(text: str) -> Iterator[tuple[int, int]]:
    """Where something personal stands; places may overlap."""
    for pattern in (_EMAIL, _SPOKEN_EMAIL):
        yield from (found.span() for found in pattern.finditer(text))
    for found in _NUMBER.finditer(text):
        if len(_DIGITS.findall(found[0])) >= _FEWEST and not _is_harmless(text, *found.span()):
            yield found.span()


def _is_harmless(text: str, begin: int, end: int) -> bool:
    """Whether so many digits are dates, with an hour perhaps, or an amount."""
    number = text[begin:end]
    dates = _DATE.sub("", number)
    if dates != number and len(_DIGITS.findall(dates)) <= 2:
        return True
    if _DECIMAL.fullmatch(number) or _THOUSANDS.fullmatch(number):
        return True
    if not _SUM.fullmatch(number) or len(_DIGITS.findall(number)) > _MOST_OF_AMOUNT:
        return False
    return bool(_CURRENCY_BEFORE.search(text, max(0, begin - 5), begin) or _CURRENCY_AFTER.match(text, end))


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
