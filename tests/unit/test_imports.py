"""Packages are processes and rooms are layers: what may import what."""

import pytest

from tests.support.import_graph import PACKAGES, ROOT, Import, imports, modules, room

ALLOWED = {
    "common": set[str](),
    "api": {"common"},
    "workers": {"common"},
    "simulator": set[str](),
    "cli": {"api", "workers", "common", "simulator"},
}
FLOORS = {
    # The lowest first: a room imports from the floors below its own, never from beside or above.
    "common": """
        errors names net process redaction text watchdog
        events
        turn
        records settings
        store
        knowledge log security speech
        tenants
        queue
        driver
        sessions
    """,
    "workers": """
        child runner system_messages upkeep
        knowledge redaction
        accounting prompts
        providers
        upstreams
        leases
        lanes speech
        assembly
        main
    """,
    "api": """
        auth refusals schemas
        requests
        limits
        http turns
        answers
        services sessions
        body openapi
        admin
        doors
        main
    """,
}


def strays(package: str) -> list[Import]:
    """Imports that go up or stay on their floor."""
    rows = FLOORS[package].strip().splitlines()
    floor = {f"{package}.{name}": number for number, row in enumerate(rows) for name in row.split()}
    floor[package] = -1
    return [
        each
        for each in imports(package)
        if each.module.startswith(f"{package}.") and each.leaves_its_room
        if floor[room(each.module)] >= floor[room(each.of)]
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_one_way(package: str) -> None:
    others = {
        each for each in imports(package) if each.module.split(".")[0] not in {package, *ALLOWED[package]}
    }
    assert not others
    assert len(modules(package)) > 5


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_imports_tests_or_benches(package: str) -> None:
    for path in modules(package).values():
        text = path.read_text(encoding="utf-8")
        assert "from tests" not in text and "from bench" not in text, path.relative_to(ROOT)


@pytest.mark.parametrize("package", FLOORS)
def test_rooms_import_from_below(package: str) -> None:
    assert not strays(package)


@pytest.mark.parametrize("package", PACKAGES)
def test_private_names_stay_in_their_room(package: str) -> None:
    assert not [each for each in imports(package) if each.name.startswith("_") and each.leaves_its_room]


@pytest.mark.parametrize("package", FLOORS)
def test_every_room_has_its_floor(package: str) -> None:
    rooms = {room(name) for name in modules(package)} - {package}
    assert rooms == {f"{package}.{name}" for name in FLOORS[package].split()}
