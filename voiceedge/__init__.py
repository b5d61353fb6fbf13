"""VoiceEdge: answers calls, understands them, and lets a conversation move between phone and screen."""

__version__ = "0.1.0"
