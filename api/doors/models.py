"""The models door: the tenant's profiles, as OpenAI lists models."""

from typing import Annotated

from fastapi import APIRouter, Path

from api.http.identity import Member
from api.openapi import examples
from api.openapi.document import as_json, told
from api.schemas import Model, ModelList

router = APIRouter()

_CREATED = 1_767_225_600
"""When models are said to be made, in seconds since 1970: nobody keeps it, and to clients 0 is a mistake."""

ModelPath = Annotated[str, Path(description="The name of a profile.", examples=["support"])]


@router.get("/v1/models", **told("chat", "List models", gives={200: as_json(ModelList, one=examples.MODELS)}))
async def models(who: Member) -> ModelList:
    """Return the profiles that a request may name in `model`."""
    return ModelList(object="list", data=[_model(name) for name in who.tenant.names()])


@router.get(
    "/v1/models/{model:path}",
    **told("chat", "Get a model", gives={200: as_json(Model, one=examples.MODELS["data"][0])}),
)
async def model(who: Member, model: ModelPath) -> Model:
    """Return a model by a name that a request may give in `model`."""
    who.tenant.pick(model)
    return _model(model)


def _model(name: str) -> Model:
    return Model(id=name, object="model", created=_CREATED, owned_by="fast-reply")
