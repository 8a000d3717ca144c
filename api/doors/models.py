"""The models door: the tenant's profiles, as OpenAI lists models."""

from typing import Any

from fastapi import APIRouter

from api import examples
from api.answers import ModelList
from api.identity import Member
from api.openapi import as_json, told

router = APIRouter()


@router.get("/v1/models", **told("chat", "List models", gives={200: as_json(ModelList, one=examples.MODELS)}))
async def models(who: Member) -> dict[str, Any]:
    """The profiles that a client may name in `model`."""
    data = [
        {"id": name, "object": "model", "created": 0, "owned_by": "fast-reply"} for name in who.tenant.names()
    ]
    return {"object": "list", "data": data}
