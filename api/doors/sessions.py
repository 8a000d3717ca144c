"""Sessions: listed, looked at, replayed, exported, deleted."""

from fastapi import APIRouter

router = APIRouter()
