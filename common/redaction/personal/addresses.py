"""E-mail addresses, written or read aloud, and network addresses. Pure."""

import ipaddress
import re
from collections.abc import Iterator

from common.redaction.personal.number_words import NOUNS, REPEATED, WORDS
from common.redaction.personal.tokens import HAN, TextToken, near_digits

# Chinese is written without spaces: a name ends where its own script does.
_HANS = f"[{HAN}]"
_IS_HAN = re.compile(_HANS)
_NAME = rf"(?:[^\W{HAN}]|[.%+'-])"
_LABEL = rf"(?:(?:[^\W{HAN}]|-)++|{_HANS}++)"
_EMAIL = re.compile(
    rf"(?:(?<!{_NAME}){_NAME}++|(?<!{_HANS}){_HANS}++)(?:@{_LABEL}(?:\.{_LABEL})*"
    rf"|\s?@\s?{_LABEL}(?:(?:\.|\s\.\s){_LABEL})+)"
)
_V4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_V6 = re.compile(r"(?<![\w:.])(?=[0-9a-f:.]*\d)[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,8}(?![\w:])")
_MAC = re.compile(r"(?<![\w:-])[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}(?![\w:-])")
_PAIRS = re.compile(r":[0-9a-f]{0,4}:|[:-][0-9a-f]{2}[:-]")  # both have such a one within
_VERSION = re.compile(
    r"(?:\bv|version|versions|версия|版本|release|build|firmware|section|chapter|clause|paragraph|раздел|пункт|глава|kapitel"
    r"|abschnitt|seccion|capitulo|chapitre|§|第|п\.|no\.?)[\s:]{0,3}\Z"
)

_AT = frozenset(
    [
        "at",
        "ät",
        "собака",
        "собачка",
        "собаку",
        "собачку",
        "собакои",
        "эт",
        "арроба",
        "sobaka",
        "sobachka",
        "arroba",
        "arobase",
        "arobas",
        "klammeraffe",
        "affenschwanz",
        "艾特",
        "小老鼠",
        "圈a",
    ]
)
_DOTS = frozenset(["dot", "point", "punkt", "punto", "точка", "тчк", "tochka", "点", "點", "dott"])
_JOINS = _DOTS | frozenset(
    [
        "underscore",
        "dash",
        "hyphen",
        "minus",
        "plus",
        "unterstrich",
        "bindestrich",
        "tiefstrich",
        "guion",
        "guionbajo",
        "bajo",
        "barra",
        "subrayado",
        "tiret",
        "souligne",
        "bas",
        "подчеркивание",
        "нижнее",
        "тире",
        "дефис",
        "минус",
        "плюс",
        "下划线",
        "下横线",
        "横杠",
        "减号",
        "中划线",
        "杠",
    ]
)
_MARKS_OF_NAMES = frozenset("._-+")
# Before "at" these words introduce a place, not an address.
_NO_NAMES = frozenset(
    [
        "look",
        "looking",
        "looked",
        "us",
        "me",
        "him",
        "her",
        "them",
        "it",
        "here",
        "there",
        "available",
        "visit",
        "visiting",
        "meet",
        "meeting",
        "found",
        "find",
        "see",
        "seen",
        "online",
        "live",
        "now",
        "up",
        "is",
        "are",
        "or",
        "and",
        "only",
        "shop",
        "buy",
        "read",
        "more",
        "also",
        "start",
        "begin",
        "open",
        "arrive",
        "arrived",
        "stay",
        "work",
        "works",
        "working",
        "was",
        "were",
        "be",
        "down",
        "out",
        "in",
        "back",
        "good",
        "website",
        "site",
        "page",
        "info",
    ]
)
_MAILERS = re.compile(
    r"(?:g-?mail|google-?mail|yahoo|hotmail|outlook|live|icloud|aol|proton(?:mail)?|gmx|web|t-online|freenet|mail|yandex|"
    r"rambler|bk|inbox|list|ya|qq|163|126|sina|sohu|foxmail|139|orange|wanadoo|laposte|free|sfr|msn|me|zoho|fastmail|джимеи?л|мэи?л|маи?л|меи?л|яндекс|рамблер)\Z"
)
_ENDINGS = frozenset(
    ["ru", "com", "net", "org", "de", "es", "fr", "uk", "cn", "io", "ком", "ру", "нет", "рф"]
)
_FURTHEST = 16  # tokens of an address at either side


def written(folded: str) -> Iterator[tuple[int, int]]:
    """Yield addresses that are written with their signs."""
    if "@" in folded:
        yield from (found.span() for found in _EMAIL.finditer(folded))
    for found in near_digits(_V4, folded, 0, 16):
        octets = found[0].split(".")
        before = folded[max(0, found.start() - 12) : found.start()]
        if all(int(octet) < 256 for octet in octets) and not _VERSION.search(before):
            yield found.span()
    if not _PAIRS.search(folded):
        return
    for found in _V6.finditer(folded):
        if len(found[0]) > 6 and _is_v6(found[0]):
            yield found.span()
    yield from (found.span() for found in _MAC.finditer(folded))


def _is_v6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def read_aloud(folded: str, tokens: list[TextToken]) -> Iterator[tuple[int, int]]:
    """Yield addresses whose signs are spoken or set apart: "john dot smith (at) host dot com"."""
    done = 0
    for place, token in enumerate(tokens):
        if (token.kind != "at" and token.text not in _AT) or token.begin < done:
            continue
        if (host := _host(folded, tokens, place)) is None:
            continue
        end, labels, said = host
        begin = _name(folded, tokens, place)
        if begin is None:
            continue
        is_said = token.kind == "at" or token.text != "at" or said or _is_marked(folded, token)
        name = tokens[begin].text
        joined = begin < place - 1
        if not is_said and not joined and not _MAILERS.match(labels[0]):
            continue  # "look at example.com"
        if token.text == "at" and not joined and name in _NO_NAMES:
            continue
        done = tokens[end].end
        yield tokens[begin].begin, done


def _is_marked(folded: str, token: TextToken) -> bool:
    return folded[token.begin - 1 : token.begin] in tuple("([{<") and token.begin > 0


def _gap(folded: str, tokens: list[TextToken], place: int) -> str:
    """Return what stands between this token and the one before, without blanks and brackets."""
    return folded[tokens[place - 1].end : tokens[place].begin].strip(" \n()[]{}<>,*_\"'«»")


def _host(folded: str, tokens: list[TextToken], at: int) -> tuple[int, list[str], bool] | None:
    """Return the host's last token, its labels, and whether a dot was said; None if no host follows."""
    labels, said, end = [""], False, at
    place = at + 1
    dotted = False
    while place < min(len(tokens), at + _FURTHEST):
        token, gap = tokens[place], _gap(folded, tokens, place)
        if gap.strip(".-_") or len(folded[tokens[place - 1].end : token.begin]) > 5 or token.kind == "at":
            break
        apart = folded[tokens[place - 1].end : token.begin]
        if "." in gap and apart.endswith((" ", "\n")) and not apart.startswith(" "):
            break  # a sentence's end
        if token.text in _DOTS:
            if not labels[-1]:
                break
            labels.append("")
            dotted = said = True
            place += 1
            continue
        if "." in gap and labels[-1]:
            labels.append("")
            dotted = True
            said = said or apart.startswith(" ")
        if not apart and labels[-1] and "han" in (_script(token), _script(tokens[place - 1])):
            break
        is_short = len(token.text) == 1 or token.kind != "word" or token.text in WORDS
        goes_on = apart in ("", "-", "_") or token.text in _JOINS or (is_short and not dotted)
        if labels[-1] and not goes_on and (dotted or not _dot_follows(folded, tokens, place)):
            break
        labels[-1] += token.text
        end = place
        place += 1
    while len(labels) > 1 and not labels[-1]:
        labels.pop()
    mailer = tokens[at + 1 : at + 3]
    is_known = len(mailer) == 2 and mailer[1].text in _ENDINGS and bool(_MAILERS.match(mailer[0].text))
    if len(labels) == 1 and is_known and not _gap(folded, tokens, at + 2):
        return at + 2, [token.text for token in mailer], True  # "gmail com"
    if len(labels) < 2 or not labels[-1][:1].isalpha() or len(labels[-1]) > 24:
        return None
    return end, labels, said


def _dot_follows(folded: str, tokens: list[TextToken], place: int) -> bool:
    """Return True if a dot is said within the next two words: "g mail dot com"."""
    for later in range(place + 1, min(place + 3, len(tokens))):
        if tokens[later].text in _DOTS:
            return True
        if _gap(folded, tokens, later):
            return "." in _gap(folded, tokens, later)
    return False


def _name(folded: str, tokens: list[TextToken], at: int) -> int | None:
    """Return the first token of the name before the sign; None if there is none."""
    begin = None
    place = at - 1
    while place >= max(0, at - _FURTHEST):
        token = tokens[place]
        apart = folded[token.end : tokens[place + 1].begin]
        bare = apart.strip(" \n()[]{}<>*\"'«»,")
        if len(apart) > 4 or bare.strip("._-+") or token.kind == "at":
            break
        if bare == "." and apart.endswith((" ", "\n")) and not apart.startswith(" "):
            break
        after = tokens[place + 1].text if place + 1 < at else ""
        is_joined = bool(bare) or (not apart and _script(token) == _script(tokens[place + 1]))
        is_joined = is_joined or after in _JOINS
        is_small = len(token.text) == 1 or token.kind != "word" or token.text in WORDS or token.text in NOUNS
        is_small = is_small or token.text in REPEATED
        if begin is not None and not is_joined and token.text not in _JOINS:
            spelled = is_small and _is_small(tokens[begin])
            if not (spelled or _only_small(tokens, begin, at)):
                break
        begin = place
        place -= 1
    while begin is not None and begin < at and tokens[begin].text in _JOINS:
        begin = begin + 1
    return begin if begin is not None and begin < at else None


def _script(token: TextToken) -> str:
    """Return the script of a token. Chinese has no spaces: another word begins where the script changes."""
    if token.kind == "numeral":
        return "numeral"
    return "han" if _IS_HAN.match(token.text) else ""


def _is_small(token: TextToken) -> bool:
    return len(token.text) == 1 or token.kind != "word" or token.text in WORDS or token.text in REPEATED


def _only_small(tokens: list[TextToken], begin: int, at: int) -> bool:
    """Return True if all tokens so far are digits and letters: the name they belong to is the word before."""
    return all(_is_small(token) and not token.text.isalpha() for token in tokens[begin:at]) or all(
        token.kind != "word" or token.text in WORDS for token in tokens[begin:at]
    )
