"""The embedded voice: espeak-ng's library, from the package that carries it. No network, no files to fetch.

Source: https://github.com/espeak-ng/espeak-ng/blob/master/src/include/espeak-ng/speak_lib.h
"""

import asyncio
import ctypes
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor

import espeakng_loader

from workers.speech.scripts import readable
from workers.speech.voice import Sound, Utterance, VoiceError

_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_BUFFER_MS = 200
_UTF8 = 1
_CHARACTERS = 1
_FIRST_S, _NEXT_S = 0.2, 1.0  # the first sound goes out before the rest is worked on

_OnSound = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class EmbeddedVoice:
    """espeak-ng in this process.

    The library has global state, so one thread speaks one sentence at a time.
    """

    def __init__(self) -> None:
        """Load the library. Raises OSError if it cannot be loaded."""
        self._pcm = bytearray()
        self._thread = ThreadPoolExecutor(1, "espeak")
        self._espeak = ctypes.CDLL(espeakng_loader.get_library_path())
        path = espeakng_loader.get_data_path().encode()
        self._rate: int = self._espeak.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, path, _DONT_EXIT)
        if self._rate <= 0:
            raise OSError("espeak-ng can't read its data")
        self._on_sound = _OnSound(self._take)  # kept: the library only has its address
        self._espeak.espeak_SetSynthCallback(self._on_sound)

    async def speak(self, utterance: Utterance) -> AsyncGenerator[Sound, None]:
        """Speak a sentence, made as a whole: two seconds of sound take about a millisecond.

        Raises VoiceError for one in a script that no voice of espeak-ng reads.
        """
        name, text = readable(utterance.text, utterance.language)
        loop = asyncio.get_running_loop()
        pcm = await loop.run_in_executor(self._thread, self._speak, name, text)
        start, size = 0, int(self._rate * _FIRST_S) * 2
        while start < len(pcm):
            yield Sound(self._rate, pcm[start : start + size])
            start, size = start + size, int(self._rate * _NEXT_S) * 2

    def _speak(self, name: str, words: str) -> bytes:
        if self._espeak.espeak_SetVoiceByName(name.encode()):
            self._espeak.espeak_SetVoiceByName(b"en-us")  # a language that it doesn't have
        text = words.encode("utf-8", "replace") + b"\0"
        self._pcm.clear()
        failed = self._espeak.espeak_Synth(
            text, ctypes.c_size_t(len(text)), 0, _CHARACTERS, 0, _UTF8, None, None
        )
        if failed:
            raise VoiceError("voice_failed")
        return bytes(self._pcm)

    def _take(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: int) -> int:
        if samples and count > 0:
            self._pcm += ctypes.string_at(samples, count * 2)
        return 0  # go on
