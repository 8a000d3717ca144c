"""Rules for whether a character, or the word before a full stop, ends a sentence."""

import re
import unicodedata
from enum import Enum, IntEnum

from common.text import abbreviations


class Kind(IntEnum):
    """The role a character can play. Up to QUIET, a character can't open, close or end anything."""

    LOWER = 0
    UPPER = 1
    WIDE = 2  # a letter of a script without spaces between words
    UNCASED = 3  # any other letter without case
    DIGIT = 4
    SYMBOL = 5
    COMMA = 6  # punctuation that carries on with the sentence
    MARK = 7  # never stands alone: belongs to the character before
    EMOJI = 8
    APOSTROPHE = 9
    DASH = 10
    INVERTED = 11
    QUIET = 11
    SPACE = 12
    NEWLINE = 13
    OPEN = 14
    CLOSE = 15
    QUOTE = 16  # the same sign opens and closes
    EMPHASIS = 17
    DOT = 18
    DOTS = 19
    BANG = 20
    WIDE_BANG = 21  # ends a sentence whatever follows, but may be repeated
    FULL = 22  # ends a sentence at once


class Rule(Enum):
    """The condition on what follows a full stop and a space for a sentence to end there."""

    SPACE = "nothing more"
    LETTER = "anything but a small letter"
    CAPITAL = "a capital, or a letter without case"
    THING = "a capital of a word that is no month or the like, or a letter without case"
    STARTER = "a word that often starts a sentence and is no name"
    NEVER = "only a new line"
    MARKER = "only a new line: the stop belongs to a list marker"


PAIRS = {
    "(": ")）", "（": "）)", "[": "]］", "［": "］]", "{": "}", "｛": "｝", "【": "】", "〔": "〕",
    "〖": "〗", "「": "」", "『": "』", "｢": "｣", "《": "》", "〈": "〉", "«": "»", "‹": "›",
    "“": "”", "„": "“”", "‘": "’", "‚": "‘’", "〝": "〞〟",
}  # fmt: skip
CLOSERS = "".join(sorted(set("".join(PAIRS.values())) - set(PAIRS)))

_SIGNS = {
    Kind.NEWLINE: "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029",
    Kind.OPEN: "".join(PAIRS),
    Kind.CLOSE: CLOSERS,
    Kind.QUOTE: '"＂',
    Kind.EMPHASIS: "*_`~",
    Kind.APOSTROPHE: "'",
    Kind.DASH: "-‐‑‒–—―−─",
    Kind.INVERTED: "¿¡",
    Kind.COMMA: ",;:，；：、،؛٫|=+/\\<>%^&",
    Kind.DOT: ".．",
    Kind.DOTS: "…⋯",
    Kind.BANG: "!?",
    Kind.WIDE_BANG: "！？‼⁇⁈⁉؟۔।॥։።፧។៕၊။᙮᠃",
    Kind.FULL: "。｡",
    # Letters by their category, but they continue the cluster before them.
    Kind.MARK: "\u200c\u200d\uff9e\uff9f\u0e33\u0eb3",
}
_KIND_OF_SIGN = {sign: kind for kind, signs in _SIGNS.items() for sign in signs}

_WIDE = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x312F), (0x31A0, 0x31FF),
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0xFF66, 0xFF9D), (0x1B000, 0x1B16F),
    (0x20000, 0x3FFFF),
)  # fmt: skip
_EMOJI = ((0x2600, 0x27BF), (0x2B00, 0x2BFF), (0x1F000, 0x1FBFF))


def _kind_of(char: str) -> Kind:
    code = ord(char)
    if char in _KIND_OF_SIGN:
        return _KIND_OF_SIGN[char]
    if char.isspace():
        return Kind.SPACE
    if unicodedata.category(char)[0] == "M" or 0x1F3FB <= code <= 0x1F3FF or 0xE0000 <= code <= 0xE0FFF:
        return Kind.MARK
    if any(low <= code <= high for low, high in _EMOJI):
        return Kind.EMOJI
    if any(low <= code <= high for low, high in _WIDE):
        return Kind.WIDE
    if char.isdigit() or char.isnumeric():
        return Kind.DIGIT
    if not char.isalpha():
        return Kind.SYMBOL
    # Georgian has small letters by category only: its sentences start with them.
    if char.islower() and (code < 0x0590 or 0x1E00 <= code <= 0x1FFF):
        return Kind.LOWER
    return Kind.UPPER if char.isupper() or char.istitle() else Kind.UNCASED


class _Kinds(dict[str, Kind]):
    def __missing__(self, char: str) -> Kind:
        kind = _kind_of(char)
        if char <= "\uffff":  # bounds the memory hostile text can take
            self[char] = kind
        return kind


KINDS = _Kinds()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STARTERS = _words(
    """
    The A An This That These Those It He She We They You I His Her Its My Our Your Their There Here In On
    At For From To With By As If When While After Before Since Although Though However But And Or So Then
    Also Because Once Until Under What Which Who Where Why How Not Yes Is Are Was Were Do Does Did Can
    Could Would Should Let Please Make Use Some Many Most All Each Every Both Another Other Others Such
    More Meanwhile Therefore Thus Moreover Furthermore Additionally Finally Now Today Instead Overall During
    Despite Given Unlike Later Nevertheless Consequently Similarly Perhaps Maybe
    Он Она Оно Они Это Этот Эта Эти В Во На С Со К По За Из От До При Для Но И А Если Когда Как Что Так
    Также Затем Потом После Однако Поэтому Кроме Тогда Там Здесь Тут Мы Вы Я Ты У О Об Не Ни Да Нет Его Её
    Ее Их Все Всё Каждый Каждая Каждое Тем Хотя Пока Наконец Сейчас Теперь Обычно Можно Нужно Важно Чтобы
    Далее Сначала Под Над Без Через Который Некоторые Многие Другие Такой Такая Такие Таким Именно Среди Вот
    """
)

_NEVER = _words(
    """
    mr mrs ms mx messrs dr prof capt cmdr lt sgt e.g i.e eg cf vs viz approx incl esp resp
    fig figs vol vols nos pp p ch eq eqs
    т.е т.к т.н т.о т.с т.ж и.о в.и.о напр см ср ул пл просп проф акад доц инж рис табл стр гл разд илл пп
    ст кв оф тел букв ок прибл соотв тов г-н г-жа пос дер корп подп абз св
    """
)
_STARTER = _words(
    """
    st mt ft ave blvd rd inc ltd co corp bros jr sr esq dept univ assn est sec
    примеч долл ed eds al ext min max avg hr hrs lb lbs oz tbsp tsp misc temp tel hon rev govt int
    им пр пер наб обл респ р-н мин макс англ нем франц лат греч итал исп япон русск сокр устар разг перен прим
    """
)
_STARTER_CAPITALISED = _words(
    """
    Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec Mon Tue Tues Wed Thu Thurs Fri Sat Sun
    Gen Sen Rep Gov Col Maj Pres Art Pt
    """
)
_CAPITAL = _words("etc no т.д т.п др гг вв руб коп тыс млн млрд трлн н.э чел шт экз ед сек час")
# After a number a unit or a year, which may end a sentence; else short for a word that goes on.
_UNITS = _words("г в с т р м ч д л к п см мм км кг гр мг кв ст стр мин с.ш ю.ш в.д з.д")
_LABELS = _words(
    """
    step chapter part section figure table example question option lesson day week phase stage level rule
    tip method scenario case шаг глава часть раздел пункт рисунок таблица пример вопрос этап урок статья день
    неделя совет правило способ вариант метод задача случай том
    """
)

_LISTED = (
    (Rule.NEVER, _NEVER),
    (Rule.CAPITAL, _CAPITAL),
    (Rule.STARTER, _STARTER),
    (Rule.NEVER, abbreviations.NEVER),
    (Rule.CAPITAL, abbreviations.CAPITAL),
    (Rule.STARTER, abbreviations.STARTER),
)
_SPACED = _NEVER | _CAPITAL | abbreviations.NEVER | abbreviations.CAPITAL
_ELIDED = re.compile(r"[^\W\d_]{1,5}['’](?=[^\W\d_]{3})")  # l'avv.
_THAI_SHORT = 4  # letters

_BEFORE_SPACED = re.compile(r"(?<![^\W_])([^\W\d_])\.[ \xa0\u202f]\Z")
_AFTER_NUMBER = re.compile(r"(?:\d|(?<!\w)[IVXLCDM]+)(?:[-‑–](?:[хйяе]|го|м))?[ \xa0\u202f]?\Z")
_ACRONYM = re.compile(r"[^\W\d_]{1,2}(?:\.[-‑]?[^\W\d_]{1,2})+")
_MARKER = re.compile(r"\d{1,3}|\d{1,3}(?:\.\d{1,3})+|[IVX]{1,5}")
_BRACKETED_MARKER = re.compile(r"[(（]?(?:\d{1,3}|[^\W\d_]|[ivxIVX]{1,5}|[一二三四五六七八九十]{1,3})")


def rule_of(back: str, lead: int) -> Rule:
    """Return the rule for a full stop after `back`; the sentence's first letter or digit is at
    `back[lead]`.
    """
    word = _last_word(back)
    start = len(back) - len(word)
    if not word:
        return Rule.LETTER
    if start <= lead and (_MARKER.fullmatch(word) or (len(word) == 1 and KINDS[word] <= Kind.UPPER)):
        return Rule.MARKER
    before = back[:start]
    if word[-1].isdigit():
        return Rule.NEVER if _is_label(before, lead, word) else _rule_of_number(word, before)
    spaced = _BEFORE_SPACED.search(before)
    if spaced and len(word) <= 4 and f"{spaced[1]}.{word}".lower() in _SPACED:
        word = f"{spaced[1]}.{word}"
    return _rule_of_word(word, before)


def _rule_of_number(number: str, before: str) -> Rule:
    if abbreviations.is_ordinal(before, number):
        return Rule.STARTER
    return Rule.THING if abbreviations.may_be_day(number) else Rule.CAPITAL


def _last_word(text: str) -> str:
    """Return the word that a text ends with, including its own full stops; a change of script begins a new
    word.

    Vowels and accents that are characters of their own are part of it.
    """
    start, wide = len(text), None
    while start and (text[start - 1].isalnum() or text[start - 1] in ".'’-‑" or _is_accent(text[start - 1])):
        if not _is_accent(text[start - 1]):
            wide = KINDS[text[start - 1]] is Kind.WIDE if wide is None else wide
            if (KINDS[text[start - 1]] is Kind.WIDE) != wide:
                break
        start -= 1
    word = text[start:].lstrip(".'’-‑")
    return word if any(map(str.isalnum, word)) else ""


def _is_accent(char: str) -> bool:
    return KINDS[char] is Kind.MARK and unicodedata.category(char)[0] == "M"


def _is_label(before: str, lead: int, number: str) -> bool:
    """Return True if a number labels what follows: 'Step 2.' at a sentence's start, 'Steps: 1.'."""
    words = before.split()
    if not words:
        return False
    if number == "1" and words[-1].endswith((":", "：")):
        return True
    return words[-1].lower().lstrip("*_#(") in _LABELS and len(before.rstrip()) - len(words[-1]) <= lead


def _rule_of_word(word: str, before: str) -> Rule:
    if before.endswith(("°", "'", "’")):
        return Rule.LETTER  # a degree's C, no initial
    if len(word) == 1 and word.isupper():
        return Rule.STARTER
    if elided := _ELIDED.match(word):
        word = word[elided.end() :]
    small = word.lower()
    last = next(char for char in reversed(word) if not _is_accent(char))
    if small in _UNITS:
        return Rule.CAPITAL if _AFTER_NUMBER.search(before) else Rule.NEVER
    for rule, listed in _LISTED:
        if small in listed:
            return rule
    if (word.capitalize() in _STARTER_CAPITALISED and word[0].isupper()) or _is_otherwise_short(word, before):
        return Rule.STARTER
    if word in abbreviations.NEVER_AS_WRITTEN or _is_thai_short(word):
        return Rule.NEVER
    if abbreviations.is_ordinal(before, word):
        return Rule.STARTER
    if small in ("я", "и") or KINDS[last] is Kind.WIDE:
        return Rule.LETTER
    if len(word) == 1 or _ACRONYM.fullmatch(word):
        return Rule.STARTER
    # Abbreviations missing above are short; a longer word is a word, even when a small letter follows.
    return Rule.SPACE if len(word) >= 5 and "." not in word else Rule.LETTER


def _is_otherwise_short(word: str, before: str) -> bool:
    """Return True if a word is an abbreviation by its spelling, its ending or its position."""
    small = word.lower()
    return (
        word in abbreviations.STARTER_CAPITALISED
        or (small.endswith("str") and len(word) > 4)  # a street's name
        or (small in abbreviations.COUNTED and _AFTER_NUMBER.search(before) is not None)
    )


def _is_thai_short(word: str) -> bool:
    """Return True if a word is an abbreviation in a script that uses full stops for nothing else."""
    letters = [char for char in word if not _is_accent(char) and char not in ".-‑'’"]
    return len(letters) <= _THAI_SHORT and all("\u0e00" <= char <= "\u0eff" for char in letters)


def starts_sentence(word: str, after: str) -> bool:
    """Return True if a word after an abbreviation, followed by `after`, starts a new sentence."""
    return (word in _STARTERS or word in abbreviations.STARTERS) and not (after == "." and len(word) == 1)


def goes_on_counting(word: str, *, whole: bool) -> bool:
    """Return True if a word after a number is what it counts or, if incomplete, may become so."""
    return abbreviations.is_counted(word) if whole else abbreviations.may_be_counted(word)


def is_list_marker(text: str) -> bool:
    """Return True if a sentence's first characters, before a closing bracket, mark a list item."""
    return _BRACKETED_MARKER.fullmatch(text) is not None
