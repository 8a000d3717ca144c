"""The models door: the tenant's profiles, as OpenAI lists models."""

from typing import Annotated, Any

from fastapi import APIRouter, Path

from api.http.identity import Member
from api.openapi import examples
from api.openapi.answers import Model, ModelList
from api.openapi.document import as_json, told

router = APIRouter()

_CREATED = 1_767_225_600
"""When models are said to be made, in seconds since 1970: nobody keeps it, and to clients 0 is a mistake."""

ModelPath = Annotated[str, Path(description="A profile's name.", examples=["support"])]


@router.get("/v1/models", **told("chat", "List models", gives={200: as_json(ModelList, one=examples.MODELS)}))
async def models(who: Member) -> dict[str, Any]:
    """The profiles that a client may name in `model`."""
    return {"object": "list", "data": [_model(name) for name in who.tenant.names()]}


@router.get(
    "/v1/models/{model:path}",
    **told("chat", "Look at a model", gives={200: as_json(Model, one=examples.MODELS["data"][0])}),
)
async def model(who: Member, model: ModelPath) -> dict[str, Any]:
    """A name that a client may give in `model`: a profile's, or one that goes to the full's server."""
    who.tenant.pick(model)
    return _model(model)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "fast-reply"}
