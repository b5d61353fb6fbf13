"""Keys of the API as commands ask for them.

key_add     {"name", "tenant", "scopes", "expires_days"} → {"key", "id"}: the key is told this once
key_list    {}        → {"keys": [{"id", "name", "tenant", "scopes", "created_at", "expires_at", "revoked_at"}]}
key_revoke  {"name"}  → {"revoked"}; by id, too
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from voiceedge.config_digital import Tenant
from voiceedge.edge.between.asked import takes
from voiceedge.edge.between.link import Handler, Head
from voiceedge.web.keys import Key, KeyRefusedError, Keys, Scope


class _Wish(BaseModel):
    model_config = ConfigDict(extra="ignore")  # a link's request carries its own name and number too

    name: Annotated[str, Field(pattern=r"^[\w.-]{1,64}$")]
    tenant: Tenant
    scopes: Annotated[list[Scope], Field(min_length=1)]
    expires_days: float | None = Field(None, gt=0, le=36_500)


def handlers(keys: Keys) -> Mapping[str, Handler]:
    async def add(wish: _Wish) -> Head:
        key, text = await keys.add(wish.name, wish.tenant, wish.scopes, wish.expires_days)
        return {"key": text, "id": key.id}

    async def listed(_head: Head, _: bytes) -> Head:
        return {"keys": [_shown(key) for key in await keys.listed()]}

    async def revoke(head: Head, _: bytes) -> Head:
        return {"revoked": await keys.revoke(str(head.get("name", "")))}

    return {"key_add": takes(_Wish, add, KeyRefusedError), "key_list": listed, "key_revoke": revoke}


def _shown(key: Key) -> Head:
    moments = {name: moment and moment.isoformat() for name, moment in asdict(key).items() if name.endswith("_at")}
    return {"id": key.id, "name": key.name, "tenant": key.tenant, "scopes": sorted(key.scopes), **moments}
