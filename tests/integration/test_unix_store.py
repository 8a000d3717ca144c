"""A store behind a socket of this machine's file system, instead of a port."""

from tests.support.scripted_model import Scripted, answer
from tests.support.served_api import serving
from tests.support.store_servers import Backend, ValkeyServer, fresh_database
from tests.support.waiting import in_loop
from tests.support.wiring import open_workers


@in_loop
async def test_a_turn_over_a_stores_socket(first_server: ValkeyServer) -> None:
    settings = Backend(first_server.socket_url(fresh_database())).settings()
    async with open_workers(settings, Scripted(full=[answer("We open.")])), serving(settings) as client:
        body = {"messages": [{"role": "user", "content": "When?"}], "session_id": "s1"}
        found = await client.post("/v1/chat/completions", json=body)
        assert found.json()["choices"][0]["message"]["content"] == "We open."
        assert (await client.get("/readyz")).json()["status"] == "ready"
