"""Finds data that is personal because of the word before it: a card's check number, a PIN, a passport.
Pure.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator

import re2

from common.redaction.personal.numbers import Chain

_CODES = (  # three digits after them are enough
    r"cvv2?(?![a-z\d])|cvc2?(?![a-z\d])|(?<![a-z])(?:cvn|csc|cid)(?![a-z])|card verification\w*|securi?ty (?:code|number)|(?<![a-z])pin(?![a-z])"
    r"|pin[\s_-]?(?:code|number|nummer|numer|码)|[a-z]{2}_?pin\b|passcode|\botp\b|\bm?tan(?=[\s:-]*(?:ist|lautet|nummer|:|\d))"
    r"|one[\s-]time (?:code|pass\w*|pin)|(?:verification|confirmation|access|auth\w*|login|sms|secret|2fa)[\s_-]?code"
    r"|passw(?:or)?d|passphrase|passwort|kennwort|geheimzahl|geheimnummer|prufnummer|prufziffer\w*|pruefnummer|pruefziffer\w*"
    r"|kartenpruf\w*|sicherheits(?:code|nummer)|bestatigungscode|zugangscode|contrasena|\bclave\b"
    r"|codigo de (?:seguridad|verificacion|acceso|confirmacion)|code (?:de securite|de verification|secret|d.acces|pin"
    r"|de confirmation|confidentiel)|cryptogramme|mot de passe|(?:three|four|3|4)[\s-]digits? (?:on|at|from|code)|last three digits|цвс|пин(?:[\s-]?код\w{0,2})?(?!\w)|цвв|цвц|свв|си\s?в[иэ]\s?[вс]и"
    r"|(?:защитн|секретн|проверочн|кодов|трехзначн)\w* (?:код|слово|номер)\w*|код\w{0,2} (?:подтвержд|безопасн|доступа|из смс"
    r"|из sms|с обратн|с оборот|проверки)\w*|парол\w{1,3}|验证码|校验码|安全码|密码|口令|动态码|后三位|识别码"
)
_CODE = r"\b(?:code|codigo|код|кода|кодом)\b|代码|\bкод-"  # four digits, unless it is a code of another kind
_OTHER_CODES = re.compile(
    r"(?:error|zip|postal|area|country|promo\w*|discount|coupon|source|status|exit|response|http|product|bar|qr|dress|dialing"
    r"|dialling|return|building|machine|morse|civil|penal|tax|hs|sort|year|stock|fehler|почтов\w+|товарн\w+)[\s-]{1,2}\Z"
)
_OTHER_CODES_AFTER = re.compile(
    r"[\s-]{1,2}(?:ошибк|город|стран|товар|регион|ответа|скидк|postal|promo|de error|d.erreur|de barras|barre|erreur|civil"
    r"|review|section|page|version|of conduct)"
)
_PAPERS = (
    r"passport|паспорт\w{0,3}|护照|reisepass|ausweis\w*|pasaporte|passeport|\bdni\b|\bnie\b|\bnif\b|\bssn\b|social security"
    r"|снилс|\bинн\b|\bинн:|sozialversicherungs\w*|steuer-?(?:id|nummer|identifikations)\w*|身份证\w{0,2}|driver.?s? licen[cs]e"
    r"|fuhrerschein\w*|permis de conduire|carte (?:d.identite|vitale)|водительск\w+|полис\w{0,3}|(?:insurance|policy|account|"
    r"routing|member(?:ship)?|customer|medicare|card|client)[\s_-]?(?:number|no|id|nr)\b|sort[\s_-]?code|kontonummer|kunden(?:nummer"
    r"|nr)|karten(?:nummer|nr)|numero de (?:cuenta|compte|cliente|client|tarjeta|carte|securite sociale|seguridad social)"
    r"|номер\w{0,2} (?:счета|карты|договора|полиса|паспорта|клиента)|лицев\w+ счет\w{0,2}|iban|银行卡号?|卡号|账号|帐号|学号|工号|社保"
)
_PHONES = (
    r"\b(?:tele)?phone\b|\btel\b|\bmobile\b|\bcell\b|\bfax\b|\bcall (?:me|us|him|her)?\b|\bdial\b|\bring (?:me|us)\b"
    r"|телефон\w{0,3}|\bтел\b|звон\w{1,5}|мобильн\w+|电话|手机|拨打|致电|telefon\w{0,7}|handy(?:nummer)?|\banrufen\b|rufnummer"
    r"|telefono|movil|celular|llam\w{1,4}|telephone|portable|appel\w{0,3}|whatsapp|viber|telegram|wechat|微信"
)
_WORDS = re.compile(rf"(?P<codes>{_CODES})|(?P<papers>{_PAPERS})|(?P<phones>{_PHONES})|(?P<code>{_CODE})")


def _loosened(pattern: str) -> str:
    """Return the pattern for a linear engine: without what it can't do, so that it matches at least as
    much.
    """
    pattern = re.sub(r"\(\?<?[=!](?:[^()]|\((?:[^()])*\))*\)", "", pattern)
    pattern = re.sub(r"\(\?P<\w+>", "(?:", pattern)
    pattern = pattern.replace(r"\b", "").replace(r"\w", r"\S")
    pattern = re.sub(r"(\[[^\]]*)\\s", r"\1\\s\\x1e", pattern)  # the seam is white space here
    return re.sub(r"\\s(?!\\x1e)", r"[\\s\\x1e]", pattern)


_MAYBE = re2.compile(_loosened(_WORDS.pattern))
_FEWEST = {"codes": 3, "code": 4, "papers": 4, "phones": 6}
_MOST = {"codes": 12, "code": 10, "papers": 34, "phones": 34}
_NEAR, _FAR, _LONGEST_WORD = 24, 60, 30
_SENTENCE = re.compile(r"[.!?;。！？\n](?:\s|\Z)")
_TOKEN = re.compile(r"(?<!\w)(?=[a-z]*\d)(?=\w*\d\w*\d)[a-z0-9]{6,20}(?!\w)")
_SECRET = re.compile(
    r"[\s:=\"'«»-]{0,4}(?:is|was|ist|es|est|lautet|это|是|为|мой)?[\s:=\"'«»-]{1,4}(?=[^\s,;]*\d)([^\s,;\"'«»]{4,40})"
)
_BEHIND = re.compile(
    r"[\s,-]{0,3}(?:(?:is|was|it's|my|the|that's|your|our|google|whatsapp|telegram|apple|bank|это|мой|моя|наш|вот|ist|mein|meine|der|die|es|mi|el|la|est|mon|le|是|我的|我|为)\s?){0,4}"
    rf"(?:{_CODES})"
)
_YEAR = re.compile(r"(?:19|20)\d\d\Z")


def named(folded: str, found: list[Chain]) -> Iterator[tuple[int, int]]:
    """Yield short numbers that the word beside them makes personal, and all other places where they stand."""
    begins = [chain.begin for chain in found]
    secrets: set[str] = set()
    for word in _words(folded, found):
        kind = word.lastgroup or ""
        if kind == "code" and not _is_secret_code(folded, *word.span()):
            continue
        yield from _tokens_behind(folded, kind, word.end())
        place = bisect_left(begins, word.end())
        if place == len(found):
            continue
        chain = found[place]
        digits = chain.digits
        if _is_near(folded, word.end(), chain.begin) and _FEWEST[kind] <= len(digits) <= _MOST[kind]:
            if kind in ("code", "phones", "papers") and len(chain.groups) == 1 and _YEAR.match(digits):
                continue
            yield chain.begin, chain.end
            if kind == "codes":
                secrets.add(digits)
    for chain in found:
        digits = chain.digits
        is_short = _FEWEST["codes"] <= len(digits) <= _MOST["codes"]
        if is_short and (digits in secrets or _BEHIND.match(folded, chain.end, chain.end + 60)):
            yield chain.begin, chain.end


def _words(folded: str, found: list[Chain]) -> Iterator[re.Match[str]]:
    """Yield the words that make a number personal; they are searched for only shortly before a number."""
    done = 0
    for chain in found:
        begin = max(done - _LONGEST_WORD, chain.begin - _FAR - _LONGEST_WORD, 0)
        if begin < chain.begin and _MAYBE.search(folded[begin : chain.begin]):
            yield from _WORDS.finditer(folded, begin, chain.begin)
        done = max(done, chain.begin)


def _is_secret_code(folded: str, begin: int, end: int) -> bool:
    return not (
        _OTHER_CODES.search(folded[max(0, begin - 16) : begin])
        or _OTHER_CODES_AFTER.match(folded, end, end + 16)
    )


def _is_near(folded: str, end: int, begin: int) -> bool:
    """Return True if the word may refer to what begins there: close by, or later in the same sentence."""
    between = folded[end : min(begin, end + _FAR + 1)]
    return len(between) <= _NEAR or (len(between) <= _FAR and not _SENTENCE.search(between))


def _tokens_behind(folded: str, kind: str, end: int) -> Iterator[tuple[int, int]]:
    """Yield tokens of letters and digits, such as a passport's number or a password."""
    found = _TOKEN.search(folded, end, end + _FAR) if kind == "papers" else None
    if found and _is_near(folded, end, found.start()):
        yield found.span()
    if kind == "codes" and (secret := _SECRET.match(folded, end, end + _FAR)):
        yield secret.span(1)
