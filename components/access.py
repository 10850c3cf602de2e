"""The monitor role, through pulumi-postgresql: may log in, call `bubble_sync.observe`, and nothing else.

Imported only for a stack that has such a role, and the plugin's SDK with it.
"""

from __future__ import annotations

import os

import pulumi
import pulumi_postgresql as postgresql

from bubble_sync.config.session_address import SessionAddress
from bubble_sync.database.scram import salt_of, verifier
from bubble_sync.providers.function import Function
from bubble_sync.specs import FunctionSpec

CONNECTIONS = 2
CONNECT_TIMEOUT_SECONDS = 10


class Access(pulumi.ComponentResource):
    """The function that observes, the role that may call it, and the two grants that let it."""

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
        """Declare the role with a verifier: a password would be in the server's log, and in the plugin's statements."""
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
                schema="bubble_sync",
                object_type=kind,
                # By its bare name: the plugin grants on `observe(text)` too, but then never sees that it is revoked.
                objects=objects,
                privileges=[privilege],
                opts=by_plugin.merge(pulumi.ResourceOptions(depends_on=[function])),
            )
        self.register_outputs({})


def _plugin(name: str, server: SessionAddress, opts: pulumi.ResourceOptions) -> postgresql.Provider:
    """Declare the plugin's connection. Its password is not said: it would stay in the state, and go stale there."""
    return postgresql.Provider(
        name,
        host=server.host,
        port=server.port,
        database=server.database,
        username=server.username,
        # Of the two a pooler knows, the one that statements name.
        database_username=server.role,
        sslmode=server.sslmode,
        sslrootcert=server.ca,
        # True, its default, makes it read password hashes, which only a superuser may.
        superuser=False,
        max_connections=CONNECTIONS,
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        opts=opts,
    )
