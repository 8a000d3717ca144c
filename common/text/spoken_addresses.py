"""Web addresses as they are spoken: a page's host without its path."""

import re

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_TLDS = (
    "com|org|net|edu|gov|mil|info|biz|int|io|ai|app|dev|me|co|tv|cc|xyz|online|shop|store|site|tech|cloud|page|"
    "ru|su|cn|hk|tw|jp|kr|de|at|ch|fr|be|uk|us|ca|au|nz|eu|in|br|mx|ar|es|pt|it|nl|pl|cz|tr|ua|by|kz|uz|ge|am|az|"
    "il|ae|sa|ir|gr|se|no|fi|dk|ie|hu|ro|bg|rs|sk|si|hr|lt|lv|ee|sg|my|th|vn|id|ph|za"
)
# Countries and the like in other letters: where the next word follows without a blank they end a host.
_IDN_TLDS = (
    "рф|рус|москва|дети|онлайн|сайт|орг|бел|укр|срб|қаз|мкд|бг|мон|中国|中國|公司|网络|網絡|网址|在线|商城|商店|香港|台湾|"
    "台灣|新加坡|政务|公益|みんな|コム|한국|닷컴|भारत|संगठन|ไทย|გე|հայ|ελ|ישראל|مصر|امارات|السعودية|شبكة|موقع|ایران"
)
_ASCII_HOST = rf"(?:{_LABEL}\.)*{_LABEL}"
_IDN_HOST = rf"(?:[^\W_](?:[\w-]{{0,61}}[^\W_])?\.)+(?:{_IDN_TLDS})"
_PORT = r"(?::\d{1,5}(?!\d))?"
# Of other letters only those between which words stand apart: a Chinese path can't be told from what follows.
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"
_CHARS = rf"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]|(?![{_UNSPACED}])[^\W_])*"
_PATH = rf"(?:[/?#]{_CHARS})?"
_USER = r"(?:[A-Za-z0-9._~%!$&'*+,;=-]+(?::[A-Za-z0-9._~%!$&'*+,;=-]*)?@)?"

_ADDRESS = re.compile(
    rf"""
    (?<![A-Za-z0-9@/])
    (?:
        (?:[A-Za-z][A-Za-z0-9+.-]{{1,20}}://){_USER}
        (?P<host>{_IDN_HOST}|{_ASCII_HOST}|\[[0-9A-Fa-f:.]+\])(?P<port>{_PORT})(?P<path>{_PATH})
      | (?P<www>www\.(?:{_IDN_HOST}|{_ASCII_HOST}))(?P<wwwpath>{_PORT}{_PATH})
      | (?P<bare>(?<![.-])(?:{_LABEL}\.)+(?:{_TLDS})|(?<![\w.-]){_IDN_HOST})(?P<barepath>{_PORT}/{_CHARS})
    )
    """,
    re.X,
)
_POINTED = re.compile(r"<((?:[A-Za-z][A-Za-z0-9+.-]{1,20}:(?://)?|www\.|[\w.+-]+@)[^\s<>]+)>")
_SCHEME = re.compile(r"(?<![A-Za-z0-9])(?:mailto|tel|sms):(?=[\w+])", re.I)
_TAIL = ".,;:!?'\"*_~"  # ends the sentence or closes a mark, rather than the address
_CLOSERS = {")": "(", "]": "["}


def shorten_addresses(text: str) -> str:
    """Return the text with each web address replaced by its host; the text around it stays."""
    if "." not in text and "://" not in text and ":" not in text:
        return text
    text = _SCHEME.sub("", _POINTED.sub(r"\1", text))
    return _ADDRESS.sub(_host, text)


def _host(found: re.Match[str]) -> str:
    if found["host"]:
        host, path = found["host"] + found["port"], found["path"]
    elif found["www"]:
        host, path = found["www"], found["wwwpath"]
    else:
        host, path = found["bare"], found["barepath"]
    return host.removeprefix("www.") + _rest(path)


def _rest(path: str) -> str:
    """Return the end of a path that no longer belongs to the address."""
    end = len(path)
    while end:
        last = path[end - 1]
        opener = _CLOSERS.get(last)
        if last not in _TAIL and not (opener and path.count(last, 0, end) > path.count(opener, 0, end)):
            break
        end -= 1
    return path[end:]
