"""What a draft's request is made of, where its server wants other parameters."""

from typing import Any

import pytest
from pydantic import ValidationError

from common.settings import Settings
from common.tenants.config import DraftConfig
from common.tenants.profiles import profile_of
from common.turn.draft_params import with_params

USUAL = {"max_tokens": 100, "temperature": 0.4}
NEWER = {"max_completion_tokens": 300, "reasoning_effort": "minimal", "enable_thinking": False}


@pytest.mark.parametrize(
    ("wanted", "params"),
    [
        ({}, USUAL),
        ({"max_tokens": None, "temperature": None, **NEWER}, NEWER),
        ({"max_tokens": False, "temperature": False, **NEWER}, NEWER),
        ({"temperature": 0, "top_p": None}, {"max_tokens": 100, "temperature": 0}),
    ],
)
def test_parameters_are_renamed_left_out_and_added(wanted: dict[str, Any], params: dict[str, Any]) -> None:
    assert with_params(USUAL, wanted) == params
    settings = Settings(small_model="small", draft_params=wanted)
    assert profile_of(settings).draft_params == params


@pytest.mark.parametrize(
    "params", [{"model": "x"}, {"messages": []}, {"stream": False}, {"tools": []}, {"a": "x" * 5_000}, 7]
)
def test_what_is_not_the_drafts_to_set_is_refused(params: Any) -> None:
    with pytest.raises(ValidationError):
        Settings(draft_params=params)
    with pytest.raises(ValidationError):
        DraftConfig(base_url="https://models.example", model="m", params=params)
