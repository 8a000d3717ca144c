"""Forms of audio: G.711 decodes back, rates change without loss, headers are true, text is cut for speech."""

import struct
import wave
from io import BytesIO
from typing import get_args

import numpy as np
import pytest

from common.speech.audio import FORMATS, Rate, wav_header
from common.turn.aloud import LONGEST_MS, speech_ms
from common.turn.outputs import TextReleased
from common.turn.sentence_splitter import SentenceSplitter
from workers.speech.framing import Framing
from workers.speech.samples import Encoder, Resampler
from workers.speech.voice import Sound


def ulaw_decoded(byte: int) -> int:
    """A µ-law byte's sample, as G.711 says."""
    byte = ~byte & 0xFF
    size = (((byte & 0x0F) << 3) + 0x84) << ((byte & 0x70) >> 4)
    return 0x84 - size if byte & 0x80 else size - 0x84


def alaw_decoded(byte: int) -> int:
    """An A-law byte's sample, as G.711 says."""
    byte ^= 0x55
    size, segment = (byte & 0x0F) << 4, (byte & 0x70) >> 4
    size = size + 8 if segment == 0 else (size + 0x108) << (segment - 1)
    return size if byte & 0x80 else -size


DECODED = {"g711_ulaw": ulaw_decoded, "g711_alaw": alaw_decoded}
# The highest level that each can say, and half its finest step.
LIMITS = {"g711_ulaw": (32_124, 4), "g711_alaw": (32_256, 8)}


def tone(rate: int, hertz: float, seconds: float = 1.0, level: float = 10_000) -> np.ndarray:
    return level * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


def snr_db(heard: np.ndarray, meant: np.ndarray) -> float:
    inner = slice(200, -200)
    noise = heard[inner] - meant[inner]
    return float(10 * np.log10((meant[inner] ** 2).mean() / max((noise**2).mean(), 1e-9)))


@pytest.mark.parametrize("law", DECODED)
def test_every_sample_decodes_to_its_nearest_neighbourhood(law: str) -> None:
    samples = np.arange(-32_768, 32_768)
    coded = Encoder(law, 8_000).feed(samples.astype("<i2").tobytes())
    heard = np.array([DECODED[law](byte) for byte in coded])
    limit, finest = LIMITS[law]
    meant = np.clip(samples, -limit, limit)
    # Half a step is at most a thirty-second of the level, with µ-law's bias, or half the finest step.
    assert (np.abs(heard - meant) <= (np.abs(meant) + 132) / 32 + finest).all()
    assert (np.sign(heard) * np.sign(samples) >= 0).all()
    assert (np.diff(heard) >= 0).all()


@pytest.mark.parametrize("law", DECODED)
def test_every_byte_is_the_code_of_what_it_says(law: str) -> None:
    said = np.array([DECODED[law](byte) for byte in range(256)], "<i2")
    again = Encoder(law, 8_000).feed(said.tobytes())
    assert [DECODED[law](byte) for byte in again] == said.tolist()


@pytest.mark.parametrize("law", DECODED)
def test_speech_from_a_voices_rate_decodes_back(law: str) -> None:
    encoder = Encoder(law, 22_050)
    pcm = np.rint(tone(22_050, 700) + tone(22_050, 1_900, level=4_000)).astype("<i2").tobytes()
    coded = encoder.feed(pcm[:10_000]) + encoder.feed(pcm[10_000:]) + encoder.close()
    heard = np.array([DECODED[law](byte) for byte in coded], float)
    assert len(heard) == 8_000
    assert snr_db(heard, tone(8_000, 700) + tone(8_000, 1_900, level=4_000)) > 33


@pytest.mark.parametrize(("rate", "to_rate"), [(22_050, 24_000), (22_050, 8_000), (24_000, 8_000)])
def test_resampling_is_the_same_wherever_it_is_cut(rate: int, to_rate: int) -> None:
    samples = tone(rate, 1_000).astype(np.float32)
    whole = Resampler(rate, to_rate)
    at_once = np.concatenate((whole.feed(samples), whole.close()))
    cut = Resampler(rate, to_rate)
    pieces = [cut.feed(piece) for piece in np.array_split(samples, 37)]
    assert np.allclose(np.concatenate((*pieces, cut.close())), at_once, atol=0.1)
    assert len(at_once) == to_rate
    assert snr_db(at_once, tone(to_rate, 1_000)) > 70


def test_what_a_lower_rate_cannot_hold_is_not_heard_as_something_else() -> None:
    down = Resampler(24_000, 8_000)
    heard = down.feed(tone(24_000, 5_200).astype(np.float32))
    assert float(np.abs(heard[200:-200]).max()) < 10


def test_wav_headers_are_read_by_others() -> None:
    pcm = np.rint(tone(24_000, 440)).astype("<i2").tobytes()
    with wave.open(BytesIO(wav_header(len(pcm)) + pcm)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 24_000)
        assert file.readframes(100_000) == pcm
    open_end = wav_header()
    assert len(open_end) == len(wav_header(0))
    assert struct.unpack("<I", open_end[4:8]) == struct.unpack("<I", open_end[40:44]) == (0xFFFFFFFF,)


@pytest.mark.parametrize("to_rate", get_args(Rate))
@pytest.mark.parametrize("rate", [22_050, 24_000])
def test_a_tone_has_its_pitch_and_length_at_every_rate(rate: int, to_rate: int) -> None:
    pcm = np.rint(tone(rate, 440, 0.5)).astype("<i2").tobytes()
    encoder = Encoder("pcm16", rate, to_rate)
    heard = np.frombuffer(encoder.feed(pcm) + encoder.close(), "<i2")
    assert len(heard) == pytest.approx(to_rate / 2, abs=2)
    spectrum = np.abs(np.fft.rfft(heard[100:-100]))
    assert np.argmax(spectrum) * to_rate / (len(heard) - 200) == pytest.approx(440, abs=5)


@pytest.mark.parametrize("audio_format", FORMATS)
def test_a_sentence_made_again_has_the_same_frames(audio_format: str) -> None:
    pcm = np.rint(tone(22_050, 300, 0.75)).astype("<i2").tobytes()
    first, again = (Framing(audio_format, attempt, 3, 9, made) for attempt, made in ((1, 0), (2, 2)))
    frames = [*first.add(Sound(22_050, pcm)), *first.close()]
    later = [*again.add(Sound(22_050, pcm[:5_000])), *again.add(Sound(22_050, pcm[5_000:])), *again.close()]
    assert [frame.number for frame in frames] == [0, 1, 2, 3]
    assert [(f.number, f.last, f.data) for f in later] == [(f.number, f.last, f.data) for f in frames[2:]]
    assert [frame.last for frame in frames] == [False, False, False, True]
    size = sum(len(frame.data) for frame in frames)
    assert FORMATS[audio_format].seconds(size) == pytest.approx(0.75, abs=0.001)


def cut_all(cutter: SentenceSplitter) -> list[str]:
    places = list(iter(cutter.next, None))
    return [cutter.text[start:end] for start, end in places if start < end]


def test_sentences_are_cut_as_soon_as_they_end_for_certain() -> None:
    cutter, cuts = SentenceSplitter(), list[str]()
    for word in ("Sure, ", "let me ", "look. ", "The fee", " is 3.", "50 euros.", " Bye"):
        cutter.feed(TextReleased("draft", word, 0))
        cuts.append(" / ".join(cut_all(cutter)))
    assert cuts == ["", "", "", "Sure, let me look.", "", "", "The fee is 3.50 euros."]
    cutter.close()
    assert cut_all(cutter) == ["Bye"]


def test_in_a_pause_what_may_be_a_sentence_is_one_and_is_cut_once() -> None:
    cutter = SentenceSplitter()
    cutter.feed(TextReleased("draft", "Let me look.", 0))
    assert cutter.rests and cut_all(cutter) == []
    cutter.rest()
    assert cut_all(cutter) == ["Let me look."]
    assert not cutter.rests
    cutter.feed(TextReleased("full", " We open at", 0))
    assert not cutter.rests and cut_all(cutter) == []
    cutter.close()
    assert cut_all(cutter) == ["We open at"]


def test_a_filler_is_whole_by_itself() -> None:
    cutter = SentenceSplitter()
    cutter.feed(TextReleased("filler", "One moment", 0))
    assert cut_all(cutter) == ["One moment"]


def test_what_was_spoken_before_is_passed_over() -> None:
    cutter = SentenceSplitter(done=9)
    cutter.feed(TextReleased("full", "We open. At nine. Every", 0))
    assert cut_all(cutter) == ["At nine."]


@pytest.mark.parametrize("text", ["word " * 200, "字" * 1000, "слово, " * 150, "ก" * 400, "7" * 300])
@pytest.mark.parametrize("step", [1, 7, 5_000])
def test_no_caller_waits_for_the_end_of_an_endless_sentence(text: str, step: int) -> None:
    cutter = SentenceSplitter()
    pieces = list[str]()
    for place in range(0, len(text), step):
        cutter.feed(TextReleased("full", text[place : place + step], 0))
        pieces += cut_all(cutter)
    assert all(LONGEST_MS / 2 < speech_ms(piece) <= LONGEST_MS for piece in pieces)
    assert not any(piece.endswith(("wor", "сло")) for piece in pieces)
    cutter.close()
    assert "".join([*pieces, *cut_all(cutter)]).replace(" ", "") == text.replace(" ", "")
