"""The operator's door: is the process alive, can it work."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from api.http.identity import Anybody
from api.openapi import examples
from api.openapi.document import as_json, told
from api.schemas import Alive, Readiness
from api.services import Services
from common.queue import job_queue
from common.store.redis import StoreUnavailable, answered_within

router = APIRouter()


@router.get(
    "/healthz",
    **told(
        "operations",
        "Check that the process is alive",
        gives={200: as_json(Alive, alive={"status": "alive"})},
    ),
)
async def healthz(who: Anybody) -> Alive:
    """Answer as long as the process is alive."""
    return Alive(status="alive")


@router.get(
    "/readyz",
    **told(
        "operations",
        "Check that the server is ready",
        gives={
            200: as_json(Readiness, ready=examples.READY),
            503: as_json(Readiness, away=examples.NOT_READY),
        },
    ),
)
async def readyz(request: Request, who: Anybody) -> Response:
    """Return True if the stores can be written to, and how many workers are alive in each lane."""
    services: Services = request.app.state.services
    try:
        async with answered_within(services.settings.redis_timeout_s):
            await services.stores.try_to_write()
            workers = await job_queue.count_workers(services.stores)
    except StoreUnavailable:
        return JSONResponse(
            Readiness(status="store unavailable", workers={}).model_dump(), 503, {"Retry-After": "1"}
        )
    return JSONResponse(Readiness(status="ready", workers=workers).model_dump())
