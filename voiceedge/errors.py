"""One tree of errors: each says whether trying again can help, and its message tells the reader what to do."""


class VoiceEdgeError(Exception):
    """The root. `can_retry` is True where the same call may succeed later without anyone changing anything."""

    can_retry: bool = False


class ConfigError(VoiceEdgeError):
    """The configuration file is wrong; the message names file, key and remedy."""


class FlowError(VoiceEdgeError):
    """A flow file is wrong; the message lists every problem with file, line and column."""


class ModelMissingError(VoiceEdgeError):
    """A recognition or synthesis model is not installed; the service goes on with less."""


class NumberError(VoiceEdgeError):
    """What was dialled or shown cannot be read as a telephone number."""


class NativeError(VoiceEdgeError):
    """The C pipeline refused a call or failed its self-test."""


class PromptError(VoiceEdgeError):
    """A prompt can be neither found nor rendered."""


class SipError(VoiceEdgeError):
    """The SIP stack refused what was asked of it."""


class LegEndedError(VoiceEdgeError):
    """The leg is over: the other side hung up, or the network did."""


class StoreError(VoiceEdgeError):
    """The database could not take a write (full disk, lock, damage)."""

    can_retry = True


class JoinRefusedError(VoiceEdgeError):
    """A conversation cannot be joined into another one: that is unknown, erased, or another tenant's."""


class CustomerError(VoiceEdgeError):
    """There is no such customer, or what is told of one is not as it should be."""


class BusError(VoiceEdgeError):
    """The MQTT broker is away or refuses us."""

    can_retry = True


class LinkError(VoiceEdgeError):
    """Another VoiceEdge process is away, or did not answer in time."""

    can_retry = True


class SpeechBusyError(VoiceEdgeError):
    """The deciding recogniser has too much to do; whoever asked decides without it."""

    can_retry = True


class CursorError(VoiceEdgeError):
    """Where somebody wants to go on reading is no place of ours."""
