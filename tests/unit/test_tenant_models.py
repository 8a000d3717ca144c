"""Which profile a request's `model` means."""

import pytest

from common.errors import NotFound
from common.tenants.config import TenantConfig
from common.tenants.tenant import Tenant, build_tenant


def tenant(*names: str) -> Tenant:
    full = {"base_url": "https://api.models.example/v1", "model": "large"}
    profiles = {name: {"full": full} for name in names}
    return build_tenant("acme", TenantConfig.model_validate({"profiles": profiles}), {})


@pytest.mark.parametrize("model", [None, "", "sales", "fast-reply"])
def test_who_names_no_other_gets_the_default_profile(model: str | None) -> None:
    assert tenant("sales", "support").pick(model)[0].name == "sales"


def test_a_profile_of_that_name_goes_first() -> None:
    assert tenant("sales", "fast-reply").pick("fast-reply")[0].name == "fast-reply"


@pytest.mark.parametrize(("names", "model"), [(("sales",), "large"), ((), "fast-reply"), ((), None)])
def test_what_is_no_profile_is_not_found(names: tuple[str, ...], model: str | None) -> None:
    with pytest.raises(NotFound):
        tenant(*names).pick(model)
