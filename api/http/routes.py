"""The application's routes, each of which must say whom it serves."""

from collections.abc import Iterator

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match

from api.http.identity import SERVED


def all_routes(app: FastAPI) -> Iterator[APIRoute]:
    """Return every route. Raises TypeError where one is of a kind that can't say whom it serves."""
    return _routes(app.routes)


def check_routes(app: FastAPI) -> None:
    """Raise TypeError if a route doesn't say whom it serves, or has its body read before that is known."""
    for route in all_routes(app):
        if not any(each.call in SERVED for each in route.dependant.dependencies):
            raise TypeError(f"{route.path} doesn't say whom it serves: see api/http/identity.py")
        if route.body_field is not None:
            raise TypeError(f"{route.path} would have its body read before its key: see api/body.py")


def methods_at(request: Request) -> set[str]:
    """Return the methods that are served at this request's path, by all routes together."""
    there = (each for each in all_routes(request.app) if each.matches(request.scope)[0] != Match.NONE)
    return {method for route in there for method in route.methods or ()}


def _routes(routes: list[BaseRoute]) -> Iterator[APIRoute]:
    for route in routes:
        if included := getattr(route, "original_router", None):  # newer versions of FastAPI nest them
            yield from _routes(included.routes)
        elif isinstance(route, APIRoute):
            yield route
        else:
            raise TypeError(f"{route} can't say whom it serves")
