"""The models door: the tenant's profiles, as OpenAI lists models."""

from typing import Any

from fastapi import APIRouter

from api.identity import Member

router = APIRouter()


@router.get("/v1/models")
async def models(who: Member) -> dict[str, Any]:
    """The profiles that a client may name in `model`."""
    data = [
        {"id": name, "object": "model", "created": 0, "owned_by": "fast-reply"} for name in who.tenant.names()
    ]
    return {"object": "list", "data": data}
