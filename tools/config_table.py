"""Print the table of configuration keys of `docs/reference/configuration.md` from the settings model."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bubble_sync.config.database_url import NAMESPACE
from bubble_sync.config.settings import SECRET_KEYS, NameSettings, StackSettings

BEGIN, END = "<!-- config table: begin -->", "<!-- config table: end -->"
HEAD = ("| Key | Default | Meaning | Secret |", "|---|---|---|---|")


def rows(model: type[BaseModel] = StackSettings, above: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Yield key, default, meaning and secret for each key; keys inside an object as `object.key`."""
    for name, field in model.model_fields.items():
        key = f"{above}{field.alias or name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from rows(field.annotation, f"{key}.")
        else:
            yield key, _default(field), field.description or "", "yes" if key in SECRET_KEYS else ""


def config_table() -> str:
    """Return the table as Markdown, without a line break at its end."""
    lines = (f"| `{NAMESPACE}:{key}` | {default} | {meaning} | {secret} |" for key, default, meaning, secret in rows())
    return "\n".join((*HEAD, *lines))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    # A default that depends on other settings: with their defaults.
    value = field.get_default(call_default_factory=True, validated_data={"names": NameSettings()})
    if value in (None, ""):
        return ""
    if isinstance(value, tuple):
        return f"`{json.dumps(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    sys.stdout.write(f"{config_table()}\n")
