"""Numbers with letters that are personal by their form: accounts, documents. Pure."""

import re
from collections.abc import Iterator

from common.redaction.personal.tokens import near_digits

_COUNTRIES = (
    "ad|ae|al|at|az|ba|be|bg|bh|br|by|ch|cr|cy|cz|de|dk|do|ee|eg|es|fi|fo|fr|gb|ge|gi|gl|gr|gt|hr|hu|ie|il|iq|is|it|jo|kw|kz|lb|"
    "lc|li|lt|lu|lv|ly|mc|md|me|mk|mr|mt|mu|nl|no|pk|pl|ps|pt|qa|ro|rs|ru|sa|sc|se|si|sk|sm|st|sv|tl|tn|tr|ua|va|vg|xk"
)
_IBAN = re.compile(
    rf"(?<![a-z0-9])(?:{_COUNTRIES})[ -]{{0,2}}\d{{2}}(?:[ \n.-]{{0,3}}[a-z0-9]){{11,30}}(?![a-z0-9])"
)
_FORMS = re.compile(
    r"(?<![a-z0-9])(?:"
    r"[a-z]{2}[ ]?\d{2}[ ]?\d{2}[ ]?\d{2}[ ]?[a-d]"  # UK, National Insurance
    r"|[xyz][ -]?\d{7}[ -]?[a-z]|\d{8}[ -]?[a-z]"  # Spain
    r"|[a-z]{6}\d{2}[a-z]\d{2}[a-z]\d{3}[a-z]"  # Italy
    r"|[a-z]{4}\d{6}[hm][a-z]{5}[a-z0-9]\d"  # Mexico
    r"|\d{6}(?:19|20)\d{2}(?:0[1-9]|1[0-2])\d{2}\d{3}[\dx]"  # China
    r"|[a-z]{4}\d{6}[a-z0-9]{3}"  # Mexico, taxes
    r"|[a-z]{5}\d{4}[a-z]"  # India
    r"|\d{2}[ ]?\d{6}[ ]?[a-z][ ]?\d{3}"  # Germany, pension
    r"|[cfghjk][0-9cfghjklmnprtvwxyz]{3}\d[0-9cfghjklmnprtvwxyz]{3}\d{1,2}(?=\b)"  # Germany, passport
    r")(?![a-z0-9])"
)
_FEWEST = 9


def by_form(folded: str) -> Iterator[tuple[int, int]]:
    """Yield their spans."""
    for found in near_digits(_IBAN, folded, 4, 130):
        if end := _iban_end(folded, *found.span()):
            yield found.start(), end
    for found in near_digits(_FORMS, folded, 6, 20):
        if sum(char.isdigit() for char in found[0]) > 3:
            yield found.span()


def _iban_end(folded: str, begin: int, end: int) -> int | None:
    """Return the end of an IBAN with correct check digits, or with enough digits; None if it is none."""
    ends = [place + 1 for place in range(begin, end) if folded[place].isalnum()]
    letters = "".join(folded[place - 1] for place in ends)
    if not letters.isascii():
        return None
    for length in range(len(letters), 14, -1):
        turned = letters[4:length] + letters[:4]
        if int("".join(str(int(char, 36)) for char in turned)) % 97 == 1:
            return ends[length - 1] if sum(map(str.isdigit, letters[:length])) >= _FEWEST else None
    is_one = folded[begin + 2].isdigit() and sum(map(str.isdigit, letters)) >= max(_FEWEST, len(letters) - 6)
    return end if is_one else None
