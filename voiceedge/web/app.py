"""The web application: its routes, its files, and how errors leave it."""

from pathlib import Path

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

import voiceedge
from voiceedge.web import api, chat, problems
from voiceedge.web.desk import routes as desk
from voiceedge.web.desk.room import DeskRoom
from voiceedge.web.guarding import Guarding
from voiceedge.web.services import Services

PAGES = Path(__file__).parent / "pages"


def create_app(services: Services, desks: DeskRoom | None = None) -> FastAPI:
    """OpenAPI 3.1 at /v1/openapi.json tells of /v1; pages and what only they use stay out of it."""
    app = FastAPI(
        title="VoiceEdge", version=voiceedge.__version__, openapi_url="/v1/openapi.json", docs_url=None, redoc_url=None
    )
    app.state.services = services
    problems.install(app)
    api.install(app, services)
    chat.install(app, services)
    if desks:
        desk.install(app, desks)
    app.add_middleware(Guarding)
    app.mount("/assets", StaticFiles(directory=PAGES), name="assets")
    return app
