"""Lets tests build single blocks of the pipeline: `from blocks import load`, from native/blocks.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "native"))
