"""The turns that were given up because they have cost too many processes, for the operator."""

from fastapi import APIRouter, Request

from api.admin import examples as examples
from api.admin.administration import Administration
from api.admin.forms import shown_time
from api.admin.shapes import ParkedList, ParkedView
from api.http.identity import Operator
from api.openapi.document import as_json, told

router = APIRouter(prefix="/admin")


@router.get(
    "/parked",
    **told(
        "administration",
        "List parked turns",
        gives={200: as_json(ParkedList, list=examples.PARKED)},
    ),
)
async def list_parked(request: Request, who: Operator) -> ParkedList:
    """Return the turns that were given up because they crashed several processes: the latest 1,000."""
    rows = [
        ParkedView(at=shown_time(each.at_ms), tenant=each.tenant, turn=each.turn, reason=each.reason)
        for each in await Administration(request, who).parked()
    ]
    return ParkedList(object="list", data=rows)
