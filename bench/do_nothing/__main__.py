"""The baseline program: the resources that shape.json lists, in their tree and order, made by a do-nothing provider."""

import json
from pathlib import Path
from typing import Any

import pulumi
from nothing import Nothing

made: dict[str, pulumi.Resource] = {}
for one in json.loads(Path(__file__).with_name("shape.json").read_text("utf-8")):
    props: dict[str, Any] = {
        key: pulumi.Output.secret(value) if key in one["secrets"] else value for key, value in one["inputs"].items()
    }
    opts = pulumi.ResourceOptions(parent=made.get(one["parent"]), depends_on=[made[name] for name in one["after"]])
    if one["custom"]:
        made[one["name"]] = Nothing(one["name"], props, opts)
    else:
        component = pulumi.ComponentResource(one["type"], one["name"], {}, opts)
        component.register_outputs({})
        made[one["name"]] = component
