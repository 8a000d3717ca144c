"""Agora's retrieval door: Chat Completions, answered from the tenant's knowledge."""

from fastapi import APIRouter, Request, Response

from api.doors.chat import answer
from api.identity import Chat

router = APIRouter()


@router.post("/rag/chat/completions")
@router.post("/v1/rag/chat/completions", include_in_schema=False)
async def rag_chat_completions(request: Request, who: Chat) -> Response:
    """Answer from the tenant's knowledge: something is said at once, the full model looks it up."""
    return await answer(request, who, rag=True)
