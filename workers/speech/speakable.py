"""Prepares a sentence's text for a voice."""

import re
import unicodedata

from common.text.speakable import speakable

__all__ = ["in_usual_forms", "speakable"]

# Forms that say something: powers, fractions, the three dots; and vowels that would be taken apart.
_KEPT = re.compile("([\u00b2\u00b3\u00b9\u00bc-\u00be\u2026\u2070-\u209f\u2150-\u215f\u2189\u0e33\u0eb3])")


def in_usual_forms(text: str) -> str:
    """Return the text with full-width digits, ligatures and the like in the forms that voices know (NFKC)."""
    return "".join(
        part if _KEPT.match(part) else unicodedata.normalize("NFKC", part) for part in _KEPT.split(text)
    )
