"""Each right that the hosted role has, taken away alone: whatever stops a tick or an `up` is named, and comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import psycopg
import pytest

from bubble_sync.config.database_url import read_database_url
from bubble_sync.database.database import Database
from bubble_sync.errors import SyncError
from tests.faults.conftest import Row
from tests.faults.states import UNKNOWN, Ground, assert_sound, converge
from tests.fixtures.history import item
from tests.fixtures.site import Site

#: What was changed by hand before, so that `up` has work for each kind of object.
DRIFTED = (
    "update cron.job set schedule = '7 7 * * *' where jobname = 'bubble-sync-retry'",
    "alter function public.invoke_bubble_sync_retry() security invoker",
    "select vault.update_secret(id, 'https://elsewhere.example') from vault.secrets where name = 'supabase_url'",
)
#: Every right of the role on a schema, a table, a view or a function of others, directly or through PUBLIC.
RIGHTS = """
    select distinct format('%s on schema %I', a.privilege_type, n.nspname) as right
    from pg_namespace as n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) as a
    where n.nspname = any ('{cron, net, vault, public, extensions}') and a.grantee in (0, 'postgres'::regrole)
    union
    select format('%s on %s', a.privilege_type, c.oid::regclass)
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace,
    aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) as a
    where n.nspname = any ('{cron, net, vault, public, extensions}') and c.relkind in ('r', 'v')
        and c.relowner <> 'postgres'::regrole and a.grantee in (0, 'postgres'::regrole)
        and a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    union
    select format('EXECUTE on function %s', f.oid::regprocedure)
    from pg_proc as f
    join pg_namespace as n on n.oid = f.pronamespace,
    aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) as a
    where n.nspname in ('cron', 'net', 'vault') and f.proowner <> 'postgres'::regrole
        and f.prorettype <> 'trigger'::regtype and a.grantee in (0, 'postgres'::regrole)
    order by 1
"""
#: The role reads every table by this membership, whatever a table grants.
READS_ALL = "pg_read_all_data"
MEMBERSHIPS = ("pg_monitor", READS_ALL, "pg_signal_backend")


@dataclass(frozen=True)
class Taken:
    """What became of the sync without a right."""

    tick: str
    up: str
    doctor: int
    named: str

    @property
    def fine(self) -> bool:
        """Return whether a failure is named, and no cause is unknown."""
        failed = self.tick or self.up
        return UNKNOWN not in self.up and (not failed or (self.doctor == 1 and bool(self.named)))


def ticked(ground: Ground) -> str:
    """Run the processor's command as its job does; return the server's complaint."""
    with psycopg.connect(ground.addresses.database_url) as conn:
        try:
            conn.execute("select public.invoke_bubble_sync_processor()")
        except psycopg.Error as problem:
            return str(problem.diag.message_primary)
        finally:
            conn.rollback()
    return ""


def converged(ground: Ground) -> str:
    """Run `up`; return the line of its error."""
    try:
        ground.up()
    except SyncError as problem:
        return str(problem)
    return ""


@contextmanager
def taken(ground: Ground, right: str) -> Iterator[None]:
    """Take a right away from the role, and from all roles."""
    read = right.startswith("SELECT on ")
    member = right in MEMBERSHIPS
    take = [f"revoke {right} from postgres"] if member else [f"revoke {right} from public, postgres cascade"]
    give = [f"grant {right} to postgres"]
    if read:
        take.append(f"revoke {READS_ALL} from postgres")
        give.append(f"grant {READS_ALL} to postgres")
    ground.by_hand(*take, Ground.END_SESSIONS)
    try:
        yield
    finally:
        ground.by_hand(*give, Ground.END_SESSIONS)


def without(ground: Ground, right: str) -> Taken:
    """Take a right away, ask, tick and converge without it, and give it back."""
    with taken(ground, right):
        for command in (("drift",), ("run-now",)):
            assert_sound(ground, ground.ask(*command))
        doctor = ground.ask("doctor")
        assert_sound(ground, doctor)
        tick = ticked(ground)
        ground.by_hand(*DRIFTED)
        up = converged(ground)
    return Taken(tick, up, doctor.code, doctor.out.partition("do: ")[0])


def sweep(ground: Ground, rights: list[str], row: Row) -> None:
    """Take each right away alone, and fail with all that is not named or does not come back."""
    with closing(Database(read_database_url(ground.addresses.database_url))) as database:
        item(Site(ground.addresses, database), "1 minute")
    row.converged = 0
    wrong = {}
    for right in rights:
        row.points += 1
        try:
            found = without(ground, right)
            assert found.fine, found
            converge(ground)
        except (AssertionError, SyncError, psycopg.Error) as problem:
            wrong[right] = f"{type(problem).__name__}: {problem}"[:1500]
            ground.up()
        else:
            row.converged += 1
            row.commands = 1

    assert not wrong, json.dumps(wrong, indent=1)


def every_right(ground: Ground) -> list[str]:
    with psycopg.connect(ground.addresses.admin_url) as conn:
        rows = conn.execute(RIGHTS).fetchall()
    return [*(right for (right,) in rows), *MEMBERSHIPS]


SAMPLE = ["SELECT on vault.decrypted_secrets"]


def test_some_rights_that_are_taken_away_are_named_and_one_run_converges(shared: Ground, tally: list[Row]):
    shared.up()
    tally.append(Row("states", "rights taken away, a sample"))

    sweep(shared, SAMPLE, tally[0])


@pytest.mark.matrix
@pytest.mark.parametrize("part", range(3))
def test_each_right_that_is_taken_away_is_named_and_one_run_converges(ground: Ground, tally: list[Row], part: int):
    tally.append(Row("states", f"rights taken away, each alone (no Pulumi CLI), part {part + 1}"))
    rights = every_right(ground)
    assert len(rights) > 40

    sweep(ground, rights[part::3], tally[0])
