"""What is heard while somebody waits."""

import numpy as np
import pytest

from voiceedge.audio import comfort


def level_dbov(pcm):
    return 10 * np.log10(np.mean((pcm / 32768.0) ** 2) + 1e-12)


@pytest.mark.parametrize("sound", [comfort.ringing, comfort.music, comfort.beep])
def test_a_sound_is_soft_and_no_part_of_it_clips(sound):
    pcm = sound()
    assert pcm.dtype == np.int16
    assert np.abs(pcm.astype(int)).max() < 32767 * 0.3
    loudest = max(level_dbov(pcm[start : start + 800]) for start in range(0, len(pcm) - 800, 800))
    assert -35 < loudest < -12
    assert sound() is pcm, "made once"


def test_ringing_is_a_second_of_every_three():
    pcm = comfort.ringing()
    assert len(pcm) == 3 * comfort.RATE
    assert not pcm[comfort.RATE :].any()
    power = np.abs(np.fft.rfft(pcm[: comfort.RATE])) ** 2
    assert set(np.argsort(power)[-2:]) == {440, 480}


def test_music_has_no_seam():
    pcm = comfort.music().astype(int)
    steps = np.abs(np.diff(np.concatenate([pcm, pcm[:1]])))
    assert steps[-1] <= steps.max()
    assert np.abs(pcm[-400:]).max() > 100, "it goes on to the very end"
