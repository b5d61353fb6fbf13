"""The API for channels and other systems, under /v1: one module a subject."""

from fastapi import APIRouter, FastAPI

from voiceedge.web.api import calls, conversations, customers, documents, events, stream, tokens, webhooks
from voiceedge.web.api.door import Door
from voiceedge.web.services import Services


def install(app: FastAPI, at: Services) -> None:
    app.state.door = Door(at.keys, at.context.database, at.clock, at.config.web.requests_per_min)
    router = APIRouter(prefix="/v1")
    for subject in (conversations, tokens, calls, customers, events, stream, webhooks):
        router.include_router(subject.router)
    app.include_router(router)
    documents.install(app)
