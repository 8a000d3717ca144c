"""Errors for URLs and methods that aren't served: in OpenAI's shape, naming what to use instead."""

import re

from starlette.exceptions import HTTPException
from starlette.requests import Request

from api.http.routes import methods_at
from common.errors import FastReplyError

_CHAT = "POST /v1/chat/completions"
_INSTEAD: tuple[tuple[str, str], ...] = (
    (
        r"responses|conversations",
        f"the Responses API is not served: use {_CHAT} (OpenAI's Agents SDK: "
        "set_default_openai_api('chat_completions'); Vercel's AI SDK: openai.chat(…); LiveKit: openai.LLM)",
    ),
    (r"completions|complete|engines", f"completions of bare prompts are not served: use {_CHAT}"),
    (r"messages", f"Anthropic's Messages API is not served to clients: use {_CHAT}"),
    (r"assistants|threads|chatkit", f"assistants are not served: use {_CHAT} with a session_id"),
    (r"realtime", f"the Realtime API is not served: use {_CHAT}, or POST /v1/audio/chat/completions"),
    (r"audio", "speech alone is not served: POST /v1/audio/chat/completions answers aloud"),
    (
        r"embeddings|vector_stores|files|uploads",
        "embeddings and files are not served: documents are kept by PUT /v1/knowledge/{collection}/documents",
    ),
    (
        r"images|videos|moderations|batches|fine_tuning|fine-tunes|evals|containers|skills",
        f"this is not served: what is, is {_CHAT}",
    ),
)
_OTHERS: tuple[tuple[str, str], ...] = (
    (r"/(v1/)+v1(/|$)", "the base URL ends in /v1 already, once is enough"),
    (r".*/completions/(chat/)?completions$", "the base URL ends before /chat/completions, as …/v1"),
    (r"/openai/", f"Azure's paths are not served: use {_CHAT} with the base URL …/v1"),
    (r"/v1(beta|alpha)\w*/", f"Gemini's API is not served: use {_CHAT}"),
    (r"/api/(chat|generate|tags|embed\w*)$", f"Ollama's API is not served: use {_CHAT}"),
)
_KNOWN = re.compile(r"/(?:v1/)?(?P<first>[a-z_-]+)(?:/|$)")


class NoSuchRoute(FastReplyError):
    """No door has this URL, or it doesn't take this method."""

    kind = "invalid_request_error"

    def __init__(self, status: int, message: str, *, code: str) -> None:
        super().__init__(message, code=code)
        self.status = status


def no_such_route(request: Request, error: HTTPException) -> FastReplyError:
    """Return the error for a URL or a method that isn't served. It never repeats the client's own words."""
    if error.status_code == 405:
        allowed = ", ".join(sorted(methods_at(request)))
        found = NoSuchRoute(405, f"this URL takes {allowed}", code="method_not_supported")
        found.headers = {"Allow": allowed}
        return found
    if error.status_code != 404:
        found = NoSuchRoute(error.status_code, str(error.detail), code="invalid_request")
        found.headers = dict(error.headers or {})
        return found
    path = request.url.path
    for pattern, hint in _OTHERS:
        if re.match(pattern, path):
            return NoSuchRoute(404, hint, code="unknown_url")
    known = _KNOWN.match(path)
    for pattern, hint in _INSTEAD if known else ():
        if known and re.fullmatch(pattern, known["first"]):
            return NoSuchRoute(404, hint, code="unknown_url")
    message = f"there is nothing at this URL: the base URL for OpenAI's clients is …/v1, {_CHAT}; see /docs"
    return NoSuchRoute(404, message, code="unknown_url")
