"""The whole set-up as one component: order and dependencies live here."""

from __future__ import annotations

from dataclasses import dataclass, field

import pulumi

from bubble_sync.providers.ledger import Ledger
from bubble_sync.providers.prerequisites import Prerequisites
from bubble_sync.settings import ProcessorSettings, RetrySettings, StackSettings
from bubble_sync.specs import Keeper
from components.cron_jobs import CronJobs
from components.extensions import Extensions
from components.sync_functions import SyncFunctions
from components.vault_secrets import VaultSecrets, VaultSecretsArgs


@dataclass(frozen=True, kw_only=True)
class SyncSetupArgs:
    """What one environment's sync is made of."""

    secrets: VaultSecretsArgs
    project_ref: str = ""
    """Empty when nothing names a project: a custom domain, a local address."""
    processor: ProcessorSettings = field(default_factory=ProcessorSettings)
    retry: RetrySettings = field(default_factory=RetrySettings)

    @classmethod
    def of(cls, settings: StackSettings, project_ref: str | None) -> SyncSetupArgs:
        """Take the arguments from a stack's validated settings."""
        secrets = VaultSecretsArgs(
            supabase_url=settings.url,
            service_role_key=settings.service_role_key,
            supabase_url_name=settings.supabase_url_name,
            service_role_key_name=settings.service_role_key_name,
        )
        return cls(secrets=secrets, project_ref=project_ref or "", processor=settings.processor, retry=settings.retry)


class SyncSetup(pulumi.ComponentResource):
    """Prerequisites -> ledger -> extensions -> secrets -> functions -> jobs; destroyed in the opposite order."""

    extension_versions: dict[str, pulumi.Output[str]]
    function_names: list[pulumi.Output[str]]
    jobids: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: SyncSetupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare every object of the sync."""
        super().__init__("bubble-sync:index:SyncSetup", name, {}, opts)
        keeper = Keeper(pulumi.get_stack(), args.project_ref)

        prerequisites = Prerequisites(f"{name}-prerequisites", opts=self._after())
        ledger = Ledger(f"{name}-ledger", keeper=keeper, opts=self._after(prerequisites))
        extensions = Extensions(f"{name}-extensions", keeper=keeper, opts=self._after(ledger))
        secrets = VaultSecrets(f"{name}-secrets", args.secrets, keeper=keeper, opts=self._after(extensions))
        functions = SyncFunctions(
            f"{name}-functions",
            processor=args.processor,
            retry=args.retry,
            supabase_url_name=args.secrets.supabase_url_name,
            service_role_key_name=args.secrets.service_role_key_name,
            keeper=keeper,
            opts=self._after(secrets),
        )
        jobs = CronJobs(
            f"{name}-jobs", processor=args.processor, retry=args.retry, keeper=keeper, opts=self._after(functions)
        )

        self.extension_versions = extensions.versions
        self.function_names = functions.names
        self.jobids = jobs.jobids
        self.register_outputs({"jobids": self.jobids})

    def _after(self, *before: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(before))
