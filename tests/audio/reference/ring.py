"""A ring that forgets nothing, and so knows what a real one may still hold."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass
class Ring:
    capacity: int
    samples: list[int] = field(default_factory=list)

    @property
    def head(self) -> int:
        return len(self.samples)

    def read(self, position: int, limit: int) -> tuple[int, NDArray[np.int16]]:
        """Where the samples really begin, and the samples."""
        start = max(position, self.head - self.capacity)
        return start, np.array(self.samples[start : start + limit], np.int16)
