"""The interface of all voices, and a voice that stands in for another."""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of speech: 16-bit little-endian samples, `rate` of them a second."""

    rate: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class Utterance:
    """A text to be spoken: words without Markdown, their language's code, and the requested voice, if any."""

    text: str
    language: str
    voice: str = ""


class VoiceError(Exception):
    """A voice could not speak; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Voice(Protocol):
    """Speaks one utterance, piece by piece as it is made. Raises VoiceError; may be left early."""

    def speak(self, utterance: Utterance) -> AsyncGenerator[Sound, None]: ...


class StandIn:
    """A voice with a second one for what the first could not begin, so that the caller hears the answer."""

    def __init__(self, first: Voice, second: Voice) -> None:
        self._first = first
        self._second = second

    async def speak(self, utterance: Utterance) -> AsyncGenerator[Sound, None]:
        """Yield the first voice's sounds, or the second's if the first fails before its first sound."""
        begun = False
        try:
            async with aclosing(self._first.speak(utterance)) as sounds:
                async for sound in sounds:
                    begun = True
                    yield sound
        except VoiceError as error:
            logger.warning("a voice failed", extra={"code": error.code, "begun": begun})
            if begun:
                return  # the caller would hear the beginning twice
            async with aclosing(self._second.speak(utterance)) as sounds:
                async for sound in sounds:
                    yield sound
