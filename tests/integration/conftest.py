"""The servers behind the tests. Each test has databases of its own there, so nothing is ever flushed."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.names import SessionRef
from tests.support.store_servers import Backend, ValkeyServer, fake_on_a_socket, fresh_database, running


@pytest.fixture(scope="session")
def first_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with running(ValkeyServer(tmp_path_factory.mktemp("first"))) as server:
        yield server


@pytest.fixture(scope="session")
def second_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with running(ValkeyServer(tmp_path_factory.mktemp("second"))) as server:
        yield server


@pytest.fixture
def mortal_server(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A server of the test's own, to be killed and started again; what it acknowledged it keeps."""
    with running(ValkeyServer(tmp_path, lasting=True)) as server:
        yield server


@pytest.fixture
def mortal(mortal_server: ValkeyServer) -> Backend:
    return Backend(mortal_server.url())


@pytest.fixture
def valkey(first_server: ValkeyServer) -> Backend:
    """Log and queue on one real server."""
    return Backend(first_server.url(fresh_database()))


@pytest.fixture
def two_servers(first_server: ValkeyServer, second_server: ValkeyServer) -> Backend:
    """Log and queue on a real server each."""
    return Backend(first_server.url(fresh_database()), second_server.url(fresh_database()))


@pytest.fixture
def fake() -> Iterator[Backend]:
    """The double that unit tests may use: it stays for as long as it passes what the real server does."""
    with fake_on_a_socket() as port:
        yield Backend(f"redis://127.0.0.1:{port}/0")


@pytest.fixture(params=["valkey", "two_servers"])
def real(request: pytest.FixtureRequest) -> Backend:
    """Real servers, one and two: for what kills connections, runs workers, or asks for statistics."""
    backend = request.getfixturevalue(request.param)
    assert isinstance(backend, Backend)
    return backend


@pytest.fixture(params=["valkey", "two_servers", "fake"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Real servers, one and two, and the fake."""
    backend = request.getfixturevalue(request.param)
    assert isinstance(backend, Backend)
    return backend


@pytest.fixture
def session() -> SessionRef:
    """A session in the test's own database; its name needs quoting."""
    return SessionRef("default", "call 7:{a}")


@pytest.fixture(params=["directory", "memory"])
def archive_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A directory, and what stands for an object store: no directories, no renames."""
    return str(tmp_path / "calls") if request.param == "directory" else f"memory://{secrets.token_hex(4)}"
