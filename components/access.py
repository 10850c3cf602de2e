"""Declare the monitor role, through pulumi-postgresql: it may log in and call `bubble_sync.observe`.

Only stacks with such a role import this module and the plugin's SDK.
"""

from __future__ import annotations

import os

import pulumi
import pulumi_postgresql as postgresql

from bubble_sync.config.database_url import SessionAddress
from bubble_sync.database.scram import salt_of, verifier
from bubble_sync.providers.function import Function
from bubble_sync.specs import FunctionSpec

CONNECTIONS = 2
PLUGIN_TIMEOUT_SECONDS = 10


class Access(pulumi.ComponentResource):
    """The function `observe`, the monitor role, and the two grants to the role."""

    def __init__(  # one argument for each thing that it is made of
        self,
        name: str,
        *,
        monitor_role: str,
        monitor_password: pulumi.Input[str],
        project_url: pulumi.Input[str],
        server: SessionAddress,
        observe: FunctionSpec,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the role with a verifier; a password would reach the server's log and the plugin's statements."""
        super().__init__("bubble-sync:index:Access", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        function = Function(f"{name}-observe", spec=observe, opts=child)
        problem = server.password_problem(os.environ)
        if problem is not None:
            pulumi.warn(f"{problem}. The plugin that makes the role {monitor_role} connects with it.", self)
        by_plugin = pulumi.ResourceOptions(parent=self, provider=_plugin(f"{name}-database", server, child))
        role = postgresql.Role(
            f"{name}-{monitor_role}",
            name=monitor_role,
            login=True,
            password=pulumi.Output.all(pulumi.Output.secret(monitor_password), project_url).apply(
                lambda known: verifier(known[0], salt_of(known[1], monitor_role))
            ),
            opts=by_plugin,
        )
        for kind, privilege, objects in (("schema", "USAGE", None), ("function", "EXECUTE", ["observe"])):
            postgresql.Grant(
                f"{name}-{kind}",
                role=role.name,
                database=server.database,
                schema=observe.name.split(".")[0],
                object_type=kind,
                # The name without arguments: the plugin also accepts `observe(text)`, but then never notices a revoke.
                objects=objects,
                privileges=[privilege],
                opts=by_plugin.merge(pulumi.ResourceOptions(depends_on=[function])),
            )
        self.register_outputs({})


def _plugin(name: str, server: SessionAddress, opts: pulumi.ResourceOptions) -> postgresql.Provider:
    """Declare the plugin's connection, without its password, which would stay in the state and become stale."""
    return postgresql.Provider(
        name,
        host=server.host,
        port=server.port,
        database=server.database,
        username=server.username,
        # Of a pooler's two names, the one in statements.
        database_username=server.role,
        sslmode=server.sslmode,
        sslrootcert=server.ca,
        # The default, True, reads password hashes, which requires a superuser.
        superuser=False,
        max_connections=CONNECTIONS,
        connect_timeout=PLUGIN_TIMEOUT_SECONDS,
        opts=opts,
    )
