"""What the doctor says about connectors: whether their file is right, and who may read the secrets that it names."""

from collections.abc import Iterator, Mapping

from voiceedge.appliance.finding import Finding, broken, fine, reduced
from voiceedge.clock import RealClock
from voiceedge.config import Config
from voiceedge.connectors.profile import Profile
from voiceedge.connectors.service import Connectors
from voiceedge.errors import ConfigError
from voiceedge.toml_file import readable_by_others

PART = "connectors"
REMEDY = "Correct the file; `voiceedge connector try NAME --value …` shows whether one finds something"


def examine(config: Config) -> Iterator[Finding]:
    """Nobody is asked: that takes a value."""
    try:
        profiles = Connectors.load(config.connectors.file, RealClock()).profiles
    except ConfigError as error:
        yield broken(PART, str(error), REMEDY)
        return
    known = ", ".join(f"{name} ({profile.kind})" for name, profile in profiles.items())
    yield fine(PART, known or "none: flows ask by address only")
    yield from _secrets(profiles)


def _secrets(profiles: Mapping[str, Profile]) -> Iterator[Finding]:
    for file in sorted({file for profile in profiles.values() for file in profile.secrets()}):
        if readable_by_others(file):
            yield reduced("secrets", f"{file} may be read by every user of this machine", f"chmod 640 {file}")
