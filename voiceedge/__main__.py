"""`python -m voiceedge` is the `voiceedge` command."""

from voiceedge.cli import app

app()
