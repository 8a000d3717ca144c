"""The environment variables that are the deployment's own, which no tenant's secret may read."""

from pydantic import AliasChoices

from common.settings import Settings

_PREFIXES = ("FAST_REPLY_", "REDIS_", "LLM_", "SMALL_MODEL_", "AWS_", "GOOGLE_", "AZURE_")
FILE = "_FILE"


def variable_of(name: str) -> str:
    """Return the environment variable of a setting."""
    alias = Settings.model_fields[name].validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"FAST_REPLY_{name.upper()}"


_OWN = frozenset(variable_of(name) for name in Settings.model_fields)


def is_own(variable: str) -> bool:
    """Return True if a variable is a setting, or may open the stores or the archive."""
    name = variable.strip().upper()
    return name.startswith(_PREFIXES) or name.removesuffix(FILE) in _OWN
