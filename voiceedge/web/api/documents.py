"""What OpenAPI says of every endpoint alike: how it may refuse, and with which problem."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from voiceedge.web import problems
from voiceedge.web.api.models import Problem

Responses = dict[int | str, dict[str, Any]]

DESCRIPTION = """\
Open conversations, add turns, let them go on in another channel, follow what happens. docs/api.md is the tutorial.

Every request has a key: `Authorization: Bearer ve_…` (`voiceedge key add`). A key sees its tenant's conversations and
customers; all others do not exist for it (404). Values of slots and addresses of customers are masked by their class,
unless the key has the scope `slots:clear`. Each reading is noted in the access log.

Errors are problem details (RFC 9457): `code` is for programs, `detail` for people. A request with `Idempotency-Key` may
be sent again for 24 hours, and has one effect and one answer.
"""
EXPLAINED: Mapping[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "No JSON, or a header that cannot be read.",
    HTTPStatus.UNAUTHORIZED: "No key, or one that opens nothing.",
    HTTPStatus.FORBIDDEN: "The key has not the scope that `scope` names.",
    HTTPStatus.NOT_FOUND: "There is no such thing for this key.",
    HTTPStatus.CONFLICT: "Not as things stand: `code` tells why.",
    HTTPStatus.GONE: "What was asked for is kept no more.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Something in the request is wrong: `errors` tells where.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests: wait for as long as Retry-After says.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The store is away: try again.",
}
ALWAYS = (
    HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)  # fmt: skip
CHANGING = (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


def refusals(*statuses: HTTPStatus) -> Responses:
    """For `responses=` of an endpoint or router."""
    content = {problems.CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {int(status): {"description": EXPLAINED[status], "content": content} for status in sorted(statuses)}


def install(app: FastAPI) -> None:
    """The document tells the schema of a problem, too, and who may ask for what by a key's scopes."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
            made["components"]["schemas"]["Problem"] = Problem.model_json_schema()
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # as FastAPI's own documentation does it
