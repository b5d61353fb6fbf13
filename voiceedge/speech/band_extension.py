"""Band extension: a faint mirror image of the telephone band above 4 kHz, for a recogniser that knows only wide-band.

Zeros between the samples at 8 kHz mirror the spectrum at 4 kHz; an interpolator's filter takes the image away. To leave
it in at a gain m needs no second filter: with h the filter and u the samples among their zeros (uₖ = 0 for odd k), the
interpolated signal is x(n) = Σ uₖ hₙ₋ₖ, and what the filter mirrored to the high band would let through is

    image(n) = Σ uₖ hₙ₋ₖ (-1)ⁿ⁻ᵏ = (-1)ⁿ Σ uₖ hₙ₋ₖ = (-1)ⁿ x(n)

so x + m·image is every even sample times 1 + m and every odd one times 1 - m.
"""

import numpy as np

MIRROR = 0.15  # of 104 human answers 11 are heard exactly at 0, 35 at 0.15, 26 at 0.3


class BandExtension:
    """Takes 16-bit audio at 16 kHz in pieces of any length. To begin at an odd sample only turns the image's sign."""

    def __init__(self, mirror: float = MIRROR) -> None:
        self._next, self._other = 1 + mirror, 1 - mirror

    def apply(self, pcm: bytes) -> bytes:
        """As many samples as came in; a half one at the end is left out."""
        samples = np.frombuffer(pcm, "<i2", count=len(pcm) // 2).astype(np.float32)
        samples[0::2] *= self._next
        samples[1::2] *= self._other
        if samples.size % 2:
            self._next, self._other = self._other, self._next
        extended: bytes = np.rint(samples).clip(-32768, 32767).astype("<i2").tobytes()
        return extended
