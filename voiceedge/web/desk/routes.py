"""The desk's routes in the web application."""

from fastapi import FastAPI

from voiceedge.web.desk import acting, chatting, door, onward, reading, streaming, supervising
from voiceedge.web.desk.room import DeskRoom


def install(app: FastAPI, room: DeskRoom) -> None:
    app.state.desk = room
    for part in (door, reading, acting, onward, chatting, supervising, streaming):
        app.include_router(part.router)
