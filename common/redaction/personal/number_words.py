"""Number words of English, Russian, German, Spanish and French, and Chinese numerals; how they add up. Pure.

Keys are in the form of `common/redaction/personal/folding.py`: lower case, without accents.
"""

from dataclasses import dataclass, replace
from itertools import product

HUNDRED, THOUSAND, MILLION = -100, -1_000, -1_000_000  # words that multiply the number before them

_PLAIN = {
    "en": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    " sixteen seventeen eighteen nineteen",
    "de": "null eins zwei drei vier funf sechs sieben acht neun zehn elf zwolf dreizehn vierzehn funfzehn"
    " sechzehn siebzehn achtzehn neunzehn",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciseis"
    " diecisiete dieciocho diecinueve veinte veintiuno veintidos veintitres veinticuatro veinticinco"
    " veintiseis veintisiete veintiocho veintinueve",
    "fr": "zero un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize",
    "ru": "ноль один два три четыре пять шесть семь восемь девять десять одиннадцать двенадцать тринадцать"
    " четырнадцать пятнадцать шестнадцать семнадцать восемнадцать девятнадцать",
    "ru, of": "нуля одного двух трех четырех пяти шести семи восьми девяти десяти одиннадцати двенадцати"
    " тринадцати четырнадцати пятнадцати шестнадцати семнадцати восемнадцати девятнадцати",
}
_TENS = {
    "en": "twenty thirty forty fifty sixty seventy eighty ninety",
    "de": "zwanzig dreissig vierzig funfzig sechzig siebzig achtzig neunzig",
    "es": "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa",
    "fr": "vingt trente quarante cinquante soixante septante huitante nonante",
    "ru": "двадцать тридцать сорок пятьдесят шестьдесят семьдесят восемьдесят девяносто",
    "ru, of": "двадцати тридцати сорока пятидесяти шестидесяти семидесяти восьмидесяти девяноста",
}
_HUNDREDS = {
    "es": "ciento doscientos trescientos cuatrocientos quinientos seiscientos setecientos ochocientos"
    " novecientos",
    "es, f": "cien doscientas trescientas cuatrocientas quinientas seiscientas setecientas ochocientas"
    " novecientas",
    "ru": "сто двести триста четыреста пятьсот шестьсот семьсот восемьсот девятьсот",
    "ru, of": "ста двухсот трехсот четырехсот пятисот шестисот семисот восьмисот девятисот",
}
_OTHERS = {
    "oh": 0, "o": 0, "nought": 0, "naught": 0, "nil": 0, "fourty": 40, "ein": 1, "eine": 1, "einen": 1,
    "zwo": 2, "un": 1, "una": 1, "une": 1, "veintiun": 21, "veintiuna": 21, "octante": 80, "нуль": 0,
    "одна": 1, "одно": 1, "одну": 1, "две": 2, "hundred": HUNDRED, "hundert": HUNDRED, "cent": HUNDRED,
    "cents": HUNDRED, "thousand": THOUSAND, "tausend": THOUSAND, "mil": THOUSAND, "mille": THOUSAND,
    "тысяча": THOUSAND, "тысячи": THOUSAND, "тысяч": THOUSAND, "тысячу": THOUSAND, "million": MILLION,
    "millions": MILLION, "millionen": MILLION, "millon": MILLION, "millones": MILLION, "миллион": MILLION,
    "миллиона": MILLION, "миллионов": MILLION, "billion": MILLION, "milliarden": MILLION,
}  # fmt: skip

REPEATED = {
    "double": 2, "triple": 3, "treble": 3, "quadruple": 4, "doble": 2, "doppel": 2, "doppelt": 2,
    "zweimal": 2, "dreimal": 3, "viermal": 4, "дважды": 2, "трижды": 3, "двойная": 2, "двойной": 2,
}  # fmt: skip
"""How many times the digit that follows is repeated."""

_NOUNS = "нул единиц двоек троек четверок пятерок шестерок семерок восьмерок девяток"
_NOUNS_FEW = "нули единицы двойки тройки четверки пятерки шестерки семерки восьмерки девятки"
NOUNS = {
    **{word: digit for digit, word in enumerate(_NOUNS.replace("й", "и").split())},
    **{word.replace("й", "и"): digit for digit, word in enumerate(_NOUNS_FEW.split())},
    "нулеи": 0, "нуля": 0, "zeros": 0, "zeroes": 0, "ohs": 0, "ones": 1, "twos": 2, "threes": 3, "fours": 4,
    "fives": 5, "sixes": 6, "sevens": 7, "eights": 8, "nines": 9, "ceros": 0, "unos": 1, "doses": 2,
    "treses": 3, "cuatros": 4, "cincos": 5, "seises": 6, "sietes": 7, "ochos": 8, "nueves": 9, "nullen": 0,
    "einsen": 1, "zweien": 2, "dreien": 3, "vieren": 4, "funfen": 5, "sechsen": 6, "siebenen": 7,
    "achten": 8, "neunen": 9,
}  # fmt: skip
"""Names of digits, in the plural too: after a number, the digit is repeated so many times ("three sevens")."""

ARTICLES = frozenset(["the", "die", "der", "den", "el", "la", "le", "раза", "раз"])
"""May stand between a word of `REPEATED` and its digit."""

LINKS = frozenset({"and", "und", "et", "y", "и"})
"""Stand within a number ("two hundred and five", "vingt et un", "treinta y uno")."""

FILLERS = frozenset(
    [
        "um",
        "uh",
        "er",
        "erm",
        "uhm",
        "eh",
        "ehm",
        "ah",
        "hm",
        "hmm",
        "mm",
        "then",
        "dash",
        "hyphen",
        "space",
        "slash",
        "эм",
        "э",
        "ээ",
        "эээ",
        "ну",
        "так",
        "потом",
        "далее",
        "затем",
        "тире",
        "дефис",
        "пробел",
        "strich",
        "bindestrich",
        "minus",
        "leerzeichen",
        "ahm",
        "ah",
        "also",
        "dann",
        "guion",
        "espacio",
        "este",
        "luego",
        "tiret",
        "espace",
        "euh",
        "puis",
        "минус",
        "杠",
        "空格",
        "嗯",
        "呃",
        "额",
    ]
)
"""Words said between a number's digits that mean nothing."""

DIGITS = {
    **dict(zip("零一二三四五六七八九", range(10), strict=True)),
    **dict(zip("〇壹贰叁肆伍陆柒捌玖", range(10), strict=True)),
    "幺": 1,
    "两": 2,
    "兩": 2,
    "洞": 0,
    "拐": 7,
    "勾": 9,
    "貳": 2,
    "參": 3,
    "陸": 6,
    "弌": 1,
    "弍": 2,
}
"""Chinese digits, also as they are written on cheques and said over the telephone."""

UNITS = {
    "十": 10,
    "拾": 10,
    "百": 100,
    "佰": 100,
    "千": 1_000,
    "仟": 1_000,
    "万": 10_000,
    "萬": 10_000,
    "亿": 10**8,
}
"""The units that make a Chinese numeral an amount."""


def _german() -> dict[str, int]:
    """Return German compounds, such as einundvierzig and neunhundertsechzehn, also spelled without
    umlauts.
    """
    units = dict(
        enumerate(["null", "ein", "zwei", "drei", "vier", "funf", "sechs", "sieben", "acht", "neun"])
    )
    below = dict(enumerate(_PLAIN["de"].split()))
    for ten, word in enumerate(_TENS["de"].split(), 2):
        below |= {ten * 10: word} | {ten * 10 + n: f"{units[n]}und{word}" for n in range(1, 10)}
    words = {word: number for number, word in below.items()}
    for hundreds, (number, word) in product(range(1, 10), [(0, ""), *below.items()]):
        if number or not word:
            words |= {
                f"{units[hundreds]}hundert{link}{word}": hundreds * 100 + number for link in ("", "und")
            }
            if hundreds == 1:
                words |= {f"hundert{word}": 100 + number} if word else {}
    return {
        form: number
        for word, number in words.items()
        for form in (
            word,
            word.replace("funf", "fuenf").replace("zwolf", "zwoelf"),
            word.replace("zwei", "zwo", 1),
        )
    }


def _words() -> dict[str, int]:
    words = _german()
    for line in _PLAIN.values():
        words |= {word: number for number, word in enumerate(line.split())}
    for line in _TENS.values():
        words |= {word: number * 10 for number, word in enumerate(line.split(), 2)}
    for line in _HUNDREDS.values():
        words |= {word: number * 100 for number, word in enumerate(line.split(), 1)}
    return {word.replace("й", "и"): number for word, number in (words | _OTHERS).items()} | {"vingts": 20}


WORDS = _words()
"""Each number word's value; those that multiply are negative."""


@dataclass(slots=True)
class Spoken:
    """A number that is being read out word by word.

    `whole`: its thousands and millions, the last of which was `scale`; `part`: what follows them, with `last`
    as its last word; only a value below `room` may yet be added.
    """

    whole: int = 0
    scale: int = 0
    part: int = 0
    last: int = 0
    room: int = 1_000

    @property
    def value(self) -> int:
        return self.whole + self.part

    @staticmethod
    def of(value: int) -> "Spoken":
        """Return the number that begins with this word."""
        if value <= THOUSAND:
            return Spoken(whole=-value, scale=-value)
        value = -value if value < 0 else value  # "hundred dollars"
        return Spoken(part=value, last=value, room=_room(value))

    def with_word(self, value: int, *, linked: bool = False) -> "Spoken | None":
        """Return the number extended by a word; None if the word begins another. `linked`: it follows an
        "and".
        """
        if value < 0:
            return self._times(-value)
        if value == 20 and self.last == 4 and self.room == 1:  # quatre-vingt
            return replace(self, part=self.part + 76, last=80, room=20)
        if linked and 0 < self.last < 10 and value in range(20, 100, 10):  # ein und vierzig
            return replace(self, part=self.part + value, last=value, room=1)
        if value == 0 or value >= self.room or (self.last == 10 and not 7 <= value <= 9):
            return None
        room = 20 if value in (60, 80) and self.room >= 100 else _room(value)
        return replace(self, part=self.part + value, last=value, room=min(room, self.room))

    def _times(self, scale: int) -> "Spoken | None":
        if scale == 100:
            if not 1 <= self.part <= 99:
                return None
            return replace(self, part=self.part * 100, last=100, room=100)
        if self.scale and scale >= self.scale:
            return None
        if self.whole and not self.part:
            return None
        return Spoken(whole=self.whole + max(self.part, 1) * scale, scale=scale)


def _room(value: int) -> int:
    if value >= 100:
        return 100 if value % 100 == 0 else 1
    if value in (60, 80):
        return 20  # soixante-quinze
    return 10 if value >= 10 and value % 10 == 0 else 1


def chinese(numeral: str) -> int:
    """Return the value of a Chinese numeral with units."""
    total = section = digit = 0
    for char in numeral:
        if char in UNITS and UNITS[char] >= 10_000:
            total += max(section + digit, 1) * UNITS[char]
            section = digit = 0
        elif char in UNITS:
            section += max(digit, 1) * UNITS[char]
            digit = 0
        else:
            digit = DIGITS.get(char, 0)
    return total + section + digit
