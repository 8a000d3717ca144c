"""Agora's retrieval door: Chat Completions, answered from the tenant's knowledge."""

from fastapi import APIRouter, Request, Response

from api.doors.chat import answer
from api.http.identity import Chat
from api.openapi import examples
from api.openapi.document import TURN_HEADERS, TURN_REFUSED, as_events, as_json, told
from api.openapi.parameters import ASKING, LANES
from api.requests.turn_request import ChatRequest
from api.schemas import ChatCompletion

router = APIRouter()


@router.post(
    "/rag/chat/completions",
    **told(
        "chat",
        "Answer from your knowledge",
        asks=(*ASKING, LANES),
        takes=as_json(ChatRequest, knowledge=examples.FROM_KNOWLEDGE),
        gives={
            200: as_json(ChatCompletion, whole=examples.COMPLETION)
            | as_events("The answer comes as chunks, in server-sent events.", examples.CHUNKS)
        },
        refuses=TURN_REFUSED,
        headers=TURN_HEADERS,
    ),
)
@router.post("/v1/rag/chat/completions", include_in_schema=False)
async def rag_chat_completions(request: Request, who: Chat) -> Response:
    """Answer a conversation from the tenant's documents: the draft speaks at once, the full looks them up.

    The default collection is searched unless `fast_reply.knowledge` names another.
    """
    return await answer(request, who, rag=True)
