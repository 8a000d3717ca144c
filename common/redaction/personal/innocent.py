"""Numbers that are not personal: dates, times, amounts, quantities, versions, lists. Pure."""

import re
from itertools import pairwise

# Looked for in the folded text before any number is put together: no number goes into or over one of these.
_NO_DIGIT_AFTER = r"(?![-/:]?\d)(?![.,]\d)"
_YEAR, _MONTH, _DAY = r"(?:1[5-9]|20)\d\d", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
_DATE = rf"(?:{_YEAR}(?P<a>[-./]){_MONTH}(?P=a){_DAY}|(?:{_DAY}(?P<b>[-./]){_MONTH}(?P=b)|{_MONTH}/{_DAY}/){_YEAR})"
_TIME = r"(?:[01]?\d|2[0-4])(?::[0-5]\d){1,2}(?:\.\d{1,6})?"
_TIMES = rf"{_TIME}(?:\s?[-~]\s?{_TIME})?"
_CURRENCY = (
    r"(?:[$€£¥₽₴₸₹]|\b(?:us|hk|nt)\$|元|円|圆|块|美金|美元|欧元|人民币|卢布|万|億|亿|\b(?:usd|eur|gbp|chf|cny|rmb|rub|inr|yuan"
    r"|dollars?|bucks|cents?|pounds?|euros?|rubles?|roubles?|francs?|pesos?|dolares|libras|руб(?!е)\w{0,4}|долл\w{0,6}"
    r"|евро|юан\w{0,3}|тенге|коп(?:еек|ейки)?|franken|rubel)\b)"
)
_UNIT = (
    r"(?:%|°|\b(?:percent|prozent|процент\w{0,3}|km|m|cm|mm|kg|g|mg|t|kwh|mwh|gwh|mb|gb|kb|bytes?|hz|mah|ml|sq|"
    r"miles?|feet|meters?|metres?|kilomet\w{2,3}|grams?|tons?|tonnes?|lit(?:er|re)s?|people|persons?|users?|customers?"
    r"|inhabitants|residents|voters|visitors|followers|subscribers|views|copies|units|items|pieces|points|shares|"
    r"times|years?|months?|weeks?|days?|hours?|minutes?|seconds?|words|steps|votes|jobs|cars|species|stars|acres|"
    r"км|м|см|кг|г|тонн\w?|литр\w{0,2}|человек\w?|люде[ий]|жител\w{1,3}|пользовател\w{1,3}|штук\w?|раз|лет|год\w{0,4}"
    r"|месяц\w{0,2}|недел\w{1,2}|дн[еия]\w?|день|час\w{0,2}|минут\w?|секунд\w?|метр\w{0,2}|километр\w{0,2}|шагов|слов"
    r"|балл\w{0,2}|экземпляр\w{0,2}|миллион\w{0,2}|млн|млрд|тыс|einwohner\w{0,2}|menschen|personen|nutzer|kunden|jahre?n?"
    r"|tage?n?|stunden?|minuten?|sekunden?|meter|kilometer|stuck|tonnen|mal|punkte|habitantes|personas|usuarios|anos"
    r"|dias|horas|minutos|segundos|metros|kilometros|veces|unidades|toneladas|habitants|personnes|utilisateurs|ans"
    r"|annees|jours|heures|secondes|metres|kilometres|fois|unites|tonnes|exemplaires)\b"
    r"|公里|千米|米|公斤|克|吨|平方|人|名|位|个|次|年|月|天|小时|分钟|秒|度|册|辆|件|台|套|字|股|票|户|步|岁|层|页|号线)"
)
_PLAIN = r"(?:\d{1,3}(?:[ ,.']\d{3})+|\d{1,12})(?:[.,]\d{1,2})?"
_NEXT = r"(?!\d)(?!\s{0,2}[-/]?\s?\d)(?![.,]\d)"
_THOUSANDS = r"\d{1,3}(?:(?:,\d{3})+(?:\.\d+)?|(?:'\d{3})+(?:\.\d+)?)"
_INNOCENT = re.compile(  # each begins with a digit, so that a search tries digits only
    r"(?=\d)(?<!\d)(?:"
    + "|".join(
        [
            rf"(?<!\d[-/.:,]){_DATE}(?:t|[ ,]{{1,2}})?(?:{_TIME})?{_NO_DIGIT_AFTER}",
            rf"(?<!\d[-/.:]){_TIMES}(?![-/:]?\d)(?!\.\d)",
            rf"(?<!\+)(?<!\d[-/.: ]){_PLAIN}(?:\s?[-~]\s?{_PLAIN})?\s?(?:{_CURRENCY}|{_UNIT})",
            rf"(?<!\+)(?<!\d[-/.: ]){_THOUSANDS}(?!\d)(?![-/]\d)",
            r"(?<!\d[-/.:, ])\d{1,9}\.\d{1,2}(?!\d)(?!\s?[-./:]?\s?\d)",
            r"(?<![\w.])\d\.\d{4,}(?!\d)(?![-/. ]\d)",
            r"(?P<other>\d+)",
        ]
    )
    + ")"
)
_SUM = re.compile(rf"{_PLAIN}{_NEXT}")
_VERSION = re.compile(r"\d{1,5}(?:\.\d{1,6}){1,4}(?!\d)")
_CURRENCY_BEFORE = re.compile(rf"{_CURRENCY}\s?\Z")
_VERSION_BEFORE = re.compile(r"\b(?:v|version|versions?|версия|версии|release|build|版本)\s?\Z")
_LONGEST_BEFORE = 14


def innocent_spans(folded: str) -> list[tuple[int, int]]:
    """Return the spans of dates, times, amounts, quantities and versions, in order."""
    spans, done = [], 0
    for found in _INNOCENT.finditer(folded):
        begin, end = found.span()
        if begin < done:
            continue
        if found["other"]:  # only behind a currency, or a version's word
            before = folded[max(0, begin - _LONGEST_BEFORE) : begin]
            pattern = None
            if _CURRENCY_BEFORE.search(before):
                pattern = _SUM
            elif _VERSION_BEFORE.search(before):
                pattern = _VERSION
            if not pattern or not (whole := pattern.match(folded, begin)):
                continue
            end = whole.end()
        spans.append((begin, end))
        done = end
    return spans


def is_list(numbers: list[str], gaps: list[str]) -> bool:
    """Return True if these are several numbers in a row: years, a count, amounts in order.

    `gaps`: the texts between them.
    """
    if any(len(number) > 1 and number[0] == "0" for number in numbers) or len(numbers) < 2:
        return False
    values = [int(number) for number in numbers if len(number) < 12]
    if len(values) < len(numbers):
        return False
    years = [value for value in values if 1500 <= value <= 2099]
    rest = sum(len(number) for number, value in zip(numbers, values, strict=True) if value not in years)
    if 2 <= len(years) <= 6 and (not rest or (rest <= 2 and any("\n" in gap or "," in gap for gap in gaps))):
        return True
    if len(values) == 2 and all(1000 <= value <= 2099 for value in values):
        return True
    if not all("," in gap or "\n" in gap or ";" in gap or "|" in gap or ". " in gap for gap in gaps):
        return False
    steps = {after - before for before, after in pairwise(values)}
    if len(values) > 2 and len(steps) == 1 and steps != {0}:
        return True
    rising = min(steps) > 0
    return rising and (
        len(values) > 4
        or (len(values) > 2 and all(value % 5 == 0 for value in values))
        or (len(values) > 2 and all(1000 <= value <= 2099 for value in values))
    )
