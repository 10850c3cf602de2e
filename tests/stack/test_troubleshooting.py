"""Break it, ask the doctor, do what it prints, and the success checklist is green: from end to end.

The stack is brought up once, and again only after a case that left it broken. `make test` plays the guide's cases and a
sample of others, `make troubles` all.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from secrets import token_hex

import psycopg
import pytest

from bubble_sync.config.database_url import read_database_url
from bubble_sync.config.stacks import CONFIG_VARIABLE
from bubble_sync.database.database import Database
from bubble_sync.local.edge_function.behaviour import Behaviour
from bubble_sync.local.platform import Platform
from bubble_sync.local.scripts import script
from bubble_sync.local.stack import prepare_stack
from tests.fixtures.breaking import UNTIL_THE_WORKERS_ARE_BACK
from tests.fixtures.history import PROCESSOR, RETRY, item, run
from tests.fixtures.platform import reset
from tests.fixtures.site import Site
from tests.fixtures.stack import CHECKOUT, Stack
from tests.fixtures.troubles import OF_THE_GUIDE, OTHERS, SAMPLE, Trouble

DEED = re.compile(
    r"pulumi up|bubble-sync [a-z-]+(?: --[a-z-]+)*|supabase functions deploy bubble_sync"
    r"|\b(?:select|update|delete|alter|drop|create) [^;]+;"
)
"""What of a remedy can be done as it is printed."""
REMARK = re.compile(r" \((?:[^()]|\([^()]*\))*\)$")
CHANGING = ("requeue", "release-stalled", "run-now")
NEWEST_RUN = "select coalesce(max(runid), 0) as runid from cron.job_run_details"


@dataclass
class Sync:
    """A stack that is up, where somebody has signed up; pg_cron runs nothing by itself."""

    platform: Platform
    site: Site
    stack: Stack
    given: dict[str, str]
    sound: bool = True

    def ask(self, *command: str) -> tuple[int, str]:
        done = self.stack.ours(*command, **self.given)
        assert not done.stderr.startswith("error:"), done.stderr
        return done.returncode, done.stdout

    def tick(self, expect: int = 0) -> None:
        """Run the job's own command, with something to do, and write what pg_cron would of its runs."""
        item(self.site, "1 s", operation="INSERT", record_id=token_hex(8))
        code, said = self.ask("run-now", "--wait", "--yes")
        assert code == expect, said
        self.note_runs()

    def note_runs(self) -> None:
        (newest,) = self.site.by_hand(NEWEST_RUN)
        for number, job in enumerate((PROCESSOR, RETRY), newest["runid"] + 1):
            run(self.site, number, job, "15 s")
        self.site.by_hand(f"select setval('cron.runid_seq', {newest['runid'] + 2})")

    def break_by(self, trouble: Trouble) -> None:
        self.platform.behave(trouble.endpoint or Behaviour())
        if trouble.by_hand:
            self.site.by_hand(*trouble.by_hand)
        trouble.items(self.site)
        for _ in range(trouble.ticks):
            self.tick(expect=1)

    def causes(self) -> dict[str, str]:
        """Give the remedy of each check whose finding no other one explains."""
        _, said = self.ask("doctor", "--json")
        # Printed commands are complete; here they get their options by `ask` and `up`.
        findings = json.loads(said.replace(f" {shlex.join(self.stack.local.arguments)}", ""))["findings"]
        return {found["id"]: found["remedy"] for found in findings if not found["follows"]}

    def do(self, remedy: str) -> None:
        """Do what a remedy says, in its order."""
        deeds = DEED.findall(REMARK.sub("", remedy))
        assert deeds, remedy
        for deed in deeds:
            program, *words = deed.split()
            if program == "pulumi":
                self.stack.up()
            elif program == "bubble-sync":
                code, said = self.ask(*words, *(["--yes"] if words[0] in CHANGING else []))
                assert code == 0 or words[0] not in CHANGING, said
            elif program == "supabase":
                self.platform.behave(Behaviour())
            elif remedy.startswith("As the owner"):
                self.site.by_hand(deed)
            else:
                with psycopg.connect(self.site.addresses.database_url, autocommit=True) as editor:
                    editor.execute(deed.encode())


def brought_up(platform: Platform, url: str) -> Sync:
    """Reset the platform's database, bring the stack up and have somebody sign up."""
    addresses = platform.addresses()
    site = Site(addresses, Database(read_database_url(url)))
    site.by_hand("alter role postgres bypassrls")
    reset(addresses)
    platform.behave(Behaviour())
    site.end_sessions()
    stack = Stack(prepare_stack(addresses, CHECKOUT))
    stack.up()
    site.by_hand(UNTIL_THE_WORKERS_ARE_BACK)
    with psycopg.connect(addresses.admin_url) as application:
        application.execute(script("sign_up"), {"email": "ada@example.com"})
    sync = Sync(platform, site, stack, {CONFIG_VARIABLE: stack.given()[CONFIG_VARIABLE]})
    sync.tick()
    return sync


def remove(sync: Sync) -> None:
    sync.site.by_hand("alter role postgres bypassrls")
    sync.site.db.close()
    shutil.rmtree(sync.stack.local.config_file.parent)


@pytest.fixture(scope="module")
def syncs(platform: Platform, product_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Sync]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PULUMI_HOME", str(tmp_path_factory.mktemp("home")))
        kept = [brought_up(platform, product_url)]
        yield kept
        remove(kept[0])


@pytest.fixture
def sync(syncs: list[Sync], platform: Platform, product_url: str) -> Sync:
    """The one stack, as good as new."""
    if not syncs[0].sound:
        remove(syncs[0])
        syncs[0] = brought_up(platform, product_url)
    return syncs[0]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "case",
    [*OF_THE_GUIDE, *SAMPLE, *(pytest.param(case, marks=pytest.mark.matrix) for case in OTHERS if case not in SAMPLE)],
)
def test_the_doctor_names_the_cause_its_remedy_mends_it_and_all_is_verified(sync: Sync, case: str):
    trouble = (OF_THE_GUIDE | OTHERS)[case]
    sync.note_runs()
    sync.sound = False

    sync.break_by(trouble)
    causes = sync.causes()
    assert list(causes) == [trouble.cause], "and nothing is left of the case before"
    remedy = causes[trouble.cause]
    assert trouble.branch in remedy
    sync.do(trouble.branch or remedy)

    sync.tick()
    code, said = sync.ask("verify")
    assert code == 0, said
    sync.sound = True
