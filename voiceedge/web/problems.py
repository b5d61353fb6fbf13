"""Errors as RFC 9457 problem details: what went wrong and what to do, and never a value that was sent."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from voiceedge.context.privacy.pii import mask_text
from voiceedge.errors import StoreError, VoiceEdgeError

CONTENT_TYPE = "application/problem+json"
RETRY_S = 5
LONGEST_TOLD = 200  # characters of a place, or of what is wrong there
MOST_ERRORS = 50

log = structlog.get_logger()


class Problem(VoiceEdgeError):  # noqa: N818 - the name it has in RFC 9457
    """An answer other than the one wished for. `code` is a word that programs may rely on."""

    def __init__(
        self, status: HTTPStatus, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.headers, self.more = status, code, headers, more


def install(app: FastAPI) -> None:
    """Every error that leaves `app` is a problem."""
    app.add_exception_handler(Problem, _told)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(StoreError, _away)
    app.add_exception_handler(Exception, _failed)


def response(
    status: HTTPStatus, code: str, detail: str, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    body = {
        "type": f"urn:voiceedge:problem:{code}", "title": status.phrase, "status": int(status), "code": code,
        "detail": detail, **more,
    }  # fmt: skip
    return JSONResponse(body, status, headers, CONTENT_TYPE)


async def _told(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - it is registered for no other
    return response(error.status, error.code, str(error), error.headers, **error.more)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    found = [(_bounded(".".join(map(str, one["loc"]))), _bounded(one["msg"])) for one in error.errors()[:MOST_ERRORS]]
    errors = [{"at": mask_text(place), "problem": mask_text(message)} for place, message in found]
    return response(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", "see errors: each tells its place", errors=errors)


def _bounded(text: str) -> str:
    """Names in it may be whatever was sent."""
    return text[:LONGEST_TOLD].encode(errors="replace").decode()


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    status = HTTPStatus(error.status_code)
    return response(status, status.name.lower(), status.description or status.phrase, error.headers)


async def _away(_: Request, error: Exception) -> Response:
    return away(error)


def away(error: Exception) -> Response:
    """What StoreError tells whoever asks."""
    log.warning("request_not_served", problem=str(error))
    headers = {"Retry-After": str(RETRY_S)}
    return response(HTTPStatus.SERVICE_UNAVAILABLE, "store_away", "the store is away: try again", headers)


async def _failed(request: Request, error: Exception) -> Response:
    path = getattr(request.scope.get("route"), "path", "")  # without the values in it
    log.error("request_failed", method=request.method, route=path, error=type(error).__name__)
    return response(HTTPStatus.INTERNAL_SERVER_ERROR, "failed", "something went wrong here: see the service's log")
