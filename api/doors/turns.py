"""A turn by its name: gone on with, stopped, interrupted."""

from fastapi import APIRouter

router = APIRouter()
