"""Where a worker's prompts come from: the shared cache, the speech process, or the cheapest engine right here."""

import asyncio

import numpy as np
import structlog

from voiceedge.audio.prompts import Piece, PromptLibrary
from voiceedge.audio.synthesis import Pcm
from voiceedge.edge.between.link import LinkClient
from voiceedge.edge.between.wire import piece_to_json
from voiceedge.errors import LinkError

RENDER_S = 2.5  # longer silence is worse for the caller than a plainer voice

log = structlog.get_logger()


class WorkerVoice:
    def __init__(self, library: PromptLibrary, speech: LinkClient) -> None:
        self.library, self._speech = library, speech

    async def samples(self, piece: Piece) -> Pcm:
        """The piece's audio at the bridge's rate. Raises PromptError where no engine works at all."""
        ready = self.library.in_memory(piece)
        if ready is None:
            ready = await asyncio.to_thread(self.library.lookup, piece)
        if ready is None and not piece.recording:
            try:
                answer = await self._speech.request("render", {"piece": piece_to_json(piece)}, timeout_s=RENDER_S)
            except LinkError as error:
                log.warning("prompt_by_last_resort", problem=str(error))
            else:
                ready = np.frombuffer(answer["payload"], np.int16)
                self.library.remember(piece, ready)
        return ready if ready is not None else await asyncio.to_thread(self.library.last_resort, piece)
