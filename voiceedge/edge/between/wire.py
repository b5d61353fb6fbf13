"""How the values that cross between processes look as JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from voiceedge.audio.prompts import Piece
from voiceedge.speech.heard import DigitString, Expectation, Phrase


def expectation_to_json(expectation: Expectation) -> dict[str, Any]:
    return asdict(expectation)


def expectation_from_json(value: Mapping[str, Any]) -> Expectation:
    return Expectation(
        language=value["language"],
        phrases=tuple(Phrase(**phrase) for phrase in value["phrases"]),
        digits=DigitString(**value["digits"]) if value["digits"] else None,
    )


def piece_to_json(piece: Piece) -> dict[str, Any]:
    return asdict(piece)


def piece_from_json(value: Mapping[str, Any]) -> Piece:
    return Piece(**value)
