"""The models door: the tenant's profiles, as OpenAI lists models."""

from typing import Any

from fastapi import APIRouter, Request

from api.services import Services

router = APIRouter()


@router.get("/v1/models")
async def models(request: Request) -> dict[str, Any]:
    """The profiles that a client may name in `model`."""
    services: Services = request.app.state.services
    data = [
        {"id": name, "object": "model", "created": 0, "owned_by": "fast-reply"}
        for name in services.profiles.names()
    ]
    return {"object": "list", "data": data}
