"""What of a sentence a voice is given."""

from common.speakable import speakable

__all__ = ["speakable"]
