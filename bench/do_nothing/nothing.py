"""A dynamic resource that does nothing: what Pulumi costs by itself."""

from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider


class NothingProvider(ResourceProvider):
    """Says yes to everything; reading and comparing are the SDK's own."""

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Give the inputs back."""
        return CreateResult("nothing", props)


class Nothing(Resource, module="do_nothing", name="Nothing"):
    """Nothing, with properties."""

    def __init__(self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions) -> None:
        """Declare it."""
        super().__init__(NothingProvider(), name, props, opts)
