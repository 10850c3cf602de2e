"""A dynamic resource without effect: the cost of Pulumi itself."""

from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider


class NothingProvider(ResourceProvider):
    """Accept every input; reading and comparing are the SDK's own."""

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Return the inputs as outputs."""
        return CreateResult("nothing", props)


class Nothing(Resource, module="do_nothing", name="Nothing"):
    """A resource without effect."""

    def __init__(self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions) -> None:
        """Declare the resource."""
        super().__init__(NothingProvider(), name, props, opts)
