"""When a configuration file may be changed: the checkout is clean and current, as git itself says."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from bubble_sync.actions.git_checkout import commit_line
from bubble_sync.errors import NotCurrent

CONFIG = "Pulumi.staging.yaml"
MESSAGE = "chore: another key for stack staging"
SETTINGS = """
[user]
    name = Ada
    email = ada@example.com
[init]
    defaultBranch = main
"""
TRUST = """
[safe]
    directory = *
"""


@dataclass(frozen=True)
class Checkout:
    """A work tree, and what a person does there."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / CONFIG

    def git(self, *command: str) -> str:
        done = subprocess.run(["git", *command], cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def commit(self, name: str, content: str = "config: {}\n") -> None:
        (self.folder / name).write_text(content)
        self.git("add", "--", name)
        self.git("commit", "--quiet", "-m", f"{name}: {content}")

    def push(self) -> None:
        self.git("push", "--quiet", "--set-upstream", "origin", "HEAD")


@pytest.fixture(autouse=True)
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Somebody's own settings of git, and none of this machine's."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    settings = tmp_path / "settings"
    settings.write_text(SETTINGS + TRUST)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return settings


def made(folder: Path) -> Checkout:
    """Make a repository that has a configuration file, and no upstream."""
    folder.mkdir()
    new = Checkout(folder)
    new.git("init", "--quiet")
    new.commit(CONFIG)
    return new


@pytest.fixture
def alone(tmp_path: Path) -> Checkout:
    return made(tmp_path / "alone")


@pytest.fixture
def upstream(tmp_path: Path) -> Checkout:
    """The bare repository that everybody pushes to."""
    folder = tmp_path / "upstream.git"
    folder.mkdir()
    Checkout(folder).git("init", "--quiet", "--bare")
    return Checkout(folder)


@pytest.fixture
def checkout(upstream: Checkout, tmp_path: Path) -> Checkout:
    """A clean checkout that has everything which its upstream has."""
    new = made(tmp_path / "checkout")
    new.git("remote", "add", "origin", str(upstream.folder))
    new.push()
    return new


@pytest.fixture
def colleague(checkout: Checkout, upstream: Checkout, tmp_path: Path) -> Checkout:
    """Another one's clone of the same upstream."""
    checkout.git("clone", "--quiet", str(upstream.folder), str(tmp_path / "colleague"))
    return Checkout(tmp_path / "colleague")


def line(checkout: Checkout, name: str = CONFIG) -> str | None:
    return commit_line(checkout.folder / name, MESSAGE)


def refusal(checkout: Checkout, name: str = CONFIG) -> str:
    with pytest.raises(NotCurrent) as refused:
        line(checkout, name)
    message = str(refused.value)
    assert "so that nothing was changed: " in message
    assert "\n" not in message
    return message


class TestACurrentCheckout:
    """The line commits the file, and pushes it where there is an upstream."""

    def test_with_an_upstream_is_committed_and_pushed(self, checkout: Checkout):
        git = f"git -C {checkout.folder}"
        assert line(checkout) == f"{git} commit -m '{MESSAGE}' -- {CONFIG} && {git} push"

    def test_ahead_of_its_upstream_is_current(self, checkout: Checkout):
        checkout.commit("README.md")

        git = f"git -C {checkout.folder}"
        assert line(checkout) == f"{git} commit -m '{MESSAGE}' -- {CONFIG} && {git} push"

    def test_without_an_upstream_is_committed_alone(self, alone: Checkout):
        assert line(alone) == f"git -C {alone.folder} commit -m '{MESSAGE}' -- {CONFIG}"

    def test_with_a_new_file_that_git_does_not_know_is_clean(self, checkout: Checkout):
        (checkout.folder / "notes.txt").write_text("mine")

        assert line(checkout) is not None

    def test_that_has_pulled_what_others_pushed_is_current(self, checkout: Checkout, colleague: Checkout):
        colleague.commit("README.md")
        colleague.push()
        checkout.git("pull", "--quiet")

        assert line(checkout) is not None

    def test_whose_file_lies_in_a_folder_is_asked_there(self, checkout: Checkout):
        (checkout.folder / "stacks").mkdir()
        checkout.commit(f"stacks/{CONFIG}")

        git = f"git -C {checkout.folder / 'stacks'}"
        assert line(checkout, f"stacks/{CONFIG}") == f"{git} commit -m '{MESSAGE}' -- {CONFIG} && {git} push"

    def test_that_is_another_work_tree_of_the_repository_is_asked_for_itself(self, checkout: Checkout):
        checkout.git("worktree", "add", "--quiet", "-b", "other", "../other")
        checkout.config.write_text("changed, but here")

        other = Checkout(checkout.folder.parent / "other")
        assert "branch other has no upstream" in refusal(other)

        other.git("push", "--quiet", "-u", "origin", "other")
        git = f"git -C {other.folder}"
        assert line(other) == f"{git} commit -m '{MESSAGE}' -- {CONFIG} && {git} push"

    def test_where_one_stands_needs_no_folder_in_the_line(self, checkout: Checkout, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.chdir(checkout.folder)

        assert line(checkout) == f"git commit -m '{MESSAGE}' -- {CONFIG} && git push"

    @pytest.mark.parametrize(
        "name",
        [
            CONFIG,
            "Pulumi.my stack.yaml",
            "-x.yaml",
            "--all",
            "it's.yaml",
            "Pulumi.$(date).yaml",
            "Pulumi.[a]*.yaml",
            "Pulumi.žluťoučký.yaml",
        ],
    )
    def test_the_line_does_what_it_says_for_any_name(self, checkout: Checkout, upstream: Checkout, name: str):
        (checkout.folder / name).write_text("old")
        checkout.git("add", "--all")
        checkout.git("commit", "--quiet", "--allow-empty", "-m", "before")
        checkout.git("push", "--quiet")
        said = line(checkout, name)
        assert said is not None
        (checkout.folder / name).write_text("new")
        (checkout.folder / "meanwhile.txt").write_text("added meanwhile")
        checkout.git("add", "meanwhile.txt")

        done = subprocess.run(["sh", "-c", said], cwd=checkout.folder, capture_output=True, text=True, check=False)

        assert done.returncode == 0, done.stderr
        assert upstream.git("log", "-1", "--format=%s", "main") == MESSAGE
        assert upstream.git("-c", "core.quotepath=off", "show", "--format=", "--name-only", "main") == name


PLAIN = "config:\n  bubble-sync:projectRef: a\n"
OWN = ("processor.active", "processor.pauseReason", "retry.active", "retry.pauseReason")
ASLEEP = "  bubble-sync:processor:\n    active: false\n    pauseReason: the CRM moves\n"


class TestTheCallersOwnChangeIsLetThrough:
    """A pause that nobody has committed yet stops neither the next one nor its end."""

    def test_when_nothing_else_has_changed(self, checkout: Checkout):
        checkout.commit(CONFIG, PLAIN)
        checkout.config.write_text(PLAIN + ASLEEP)

        assert commit_line(checkout.config, MESSAGE, OWN) is not None
        assert "uncommitted changes" in refusal(checkout)

    def test_when_it_was_taken_out_of_what_is_committed_or_is_in_the_index(self, checkout: Checkout):
        checkout.commit(CONFIG, f"{PLAIN}  bubble-sync:retry: {{timeoutMs: 7, active: false}}\n")
        checkout.config.write_text(f"{PLAIN}  bubble-sync:retry:\n      timeoutMs: 7\n")
        checkout.git("add", CONFIG)

        assert commit_line(checkout.config, MESSAGE, OWN) is not None

    @pytest.mark.parametrize(
        "content",
        [
            PLAIN.replace(": a", ": b") + ASLEEP,
            f"{PLAIN}{ASLEEP}    timeoutMs: 7\n",
            f"{PLAIN}  bubble-sync:processor: false\n",
            f"{PLAIN}{ASLEEP}encryptionsalt: v1\n",
            PLAIN + "  {",
            "[]",
        ],
    )
    def test_but_no_other_setting(self, checkout: Checkout, content: str):
        checkout.commit(CONFIG, PLAIN)
        checkout.config.write_text(content)

        with pytest.raises(NotCurrent, match="uncommitted changes"):
            commit_line(checkout.config, MESSAGE, OWN)

    def test_but_no_other_file(self, checkout: Checkout):
        checkout.commit(CONFIG, PLAIN)
        checkout.commit("README.md")
        (checkout.folder / "README.md").write_text("changed")
        with pytest.raises(NotCurrent, match=r"README\.md"):
            commit_line(checkout.config, MESSAGE, OWN)

        checkout.config.write_text(PLAIN + ASLEEP)
        with pytest.raises(NotCurrent, match=r"README\.md"):
            commit_line(checkout.config, MESSAGE, OWN)


class TestAnOldOrChangedCheckoutIsRefused:
    """A deploy from it would put back what the change replaced, or the commit would hold more than the change."""

    def test_when_the_file_itself_has_changes(self, checkout: Checkout):
        checkout.config.write_text("changed")

        assert refusal(checkout).startswith(f"the checkout has uncommitted changes ({CONFIG}), so")

    def test_when_another_file_has_changes(self, checkout: Checkout):
        checkout.commit("README.md")
        (checkout.folder / "README.md").write_text("changed")

        assert "uncommitted changes (README.md)" in refusal(checkout)

    def test_when_a_file_above_has_changes(self, checkout: Checkout):
        (checkout.folder / "stacks").mkdir()
        checkout.commit(f"stacks/{CONFIG}")
        checkout.config.write_text("changed")

        assert CONFIG in refusal(checkout, f"stacks/{CONFIG}")

    @pytest.mark.parametrize("change", ["add", "rm"])
    def test_when_a_change_is_only_in_the_index(self, checkout: Checkout, change: str):
        checkout.commit("README.md")
        (checkout.folder / "NEWS.md").write_text("new")
        checkout.git(*{"add": ("add", "NEWS.md"), "rm": ("rm", "--quiet", "--cached", "README.md")}[change])

        assert "uncommitted changes" in refusal(checkout)

    def test_when_many_files_have_changes_three_are_named(self, checkout: Checkout):
        for name in ("a", "b", "c", "d"):
            checkout.commit(name)
            (checkout.folder / name).write_text("changed")

        assert "uncommitted changes (a, b, c, ...)" in refusal(checkout)

    def test_when_another_one_has_pushed(self, checkout: Checkout, colleague: Checkout):
        colleague.commit(CONFIG, "theirs")
        colleague.push()

        assert "lacks 1 commit of its upstream" in refusal(checkout)
        assert refusal(checkout).endswith("`git pull` first")

    def test_when_both_have_commits_of_their_own(self, checkout: Checkout, colleague: Checkout):
        for name in ("a", "b"):
            colleague.commit(name)
        colleague.push()
        checkout.commit("README.md")

        assert "lacks 2 commits of its upstream" in refusal(checkout)

    def test_when_it_is_on_no_branch(self, checkout: Checkout):
        checkout.git("checkout", "--quiet", "--detach")

        assert refusal(checkout).startswith("the checkout is on no branch")

    def test_when_its_upstream_cannot_be_asked(self, checkout: Checkout, upstream: Checkout):
        shutil.rmtree(upstream.folder)

        assert refusal(checkout).startswith("git cannot ask the upstream for newer commits")

    def test_when_its_branch_is_gone_from_the_upstream(self, checkout: Checkout, colleague: Checkout):
        checkout.git("switch", "--quiet", "-c", "topic")
        checkout.push()
        colleague.git("push", "--quiet", "origin", ":topic")
        checkout.git("fetch", "--quiet", "--prune")

        assert refusal(checkout).startswith("the upstream of branch topic is gone")

    def test_when_it_does_not_keep_its_upstreams_commits(self, checkout: Checkout, colleague: Checkout):
        colleague.git("switch", "--quiet", "-c", "topic")
        colleague.push()
        checkout.git("config", "remote.origin.fetch", "+refs/heads/topic:refs/remotes/origin/topic")
        checkout.git("update-ref", "-d", "refs/remotes/origin/main")
        colleague.git("switch", "--quiet", "main")
        colleague.commit(CONFIG, "theirs")
        colleague.push()

        assert refusal(checkout).startswith("the upstream of branch main is gone or is not fetched")


class TestTheFileIsInNoGit:
    """Nothing is to be committed, unless somebody forgot to add it."""

    def test_outside_a_repository(self, tmp_path: Path):
        (tmp_path / CONFIG).write_text("config: {}\n")

        assert commit_line(tmp_path / CONFIG, MESSAGE) is None

    def test_outside_a_repository_on_a_machine_without_git(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        (tmp_path / CONFIG).write_text("config: {}\n")
        monkeypatch.setenv("PATH", str(tmp_path))

        assert commit_line(tmp_path / CONFIG, MESSAGE) is None

    def test_when_git_ignores_it(self, checkout: Checkout):
        checkout.commit(".gitignore", "Pulumi.local.yaml\n")
        (checkout.folder / "Pulumi.local.yaml").write_text("config: {}\n")

        assert line(checkout, "Pulumi.local.yaml") is None

    def test_when_git_ignores_it_and_its_name_begins_with_a_dash(self, checkout: Checkout):
        checkout.commit(".gitignore", "-*\n")
        (checkout.folder / "-q").write_text("config: {}\n")

        assert line(checkout, "-q") is None

    @pytest.mark.parametrize("name", ["Pulumi.new.yaml", "-x.yaml", "--all"])
    def test_one_that_was_never_added_is_refused(self, checkout: Checkout, name: str):
        (checkout.folder / name).write_text("config: {}\n")

        assert refusal(checkout, name).startswith(f"{name} is not in git")

    def test_one_that_is_ignored_but_tracked_is_kept_by_git(self, checkout: Checkout):
        checkout.commit(".gitignore", f"{CONFIG}\n")

        assert line(checkout) is not None


class TestAGitThatDoesNotWorkIsRefused:
    """That is not the same as no repository."""

    SAID = "git does not work in "

    def test_when_it_does_not_trust_the_owner(self, checkout: Checkout, person: Path, monkeypatch: pytest.MonkeyPatch):
        person.write_text(SETTINGS)
        # Git's own switch for its tests: this user owns no repository.
        monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")

        assert refusal(checkout).startswith(self.SAID)

    def test_when_the_repository_is_broken(self, checkout: Checkout):
        (checkout.folder / ".git" / "HEAD").unlink()

        assert refusal(checkout).startswith(self.SAID)

    def test_when_a_work_tree_has_lost_its_repository(self, tmp_path: Path):
        (tmp_path / ".git").write_text("gitdir: /nowhere\n")
        (tmp_path / CONFIG).write_text("config: {}\n")

        assert refusal(Checkout(tmp_path)).startswith(self.SAID)

    @pytest.mark.parametrize("name", [CONFIG, f"deep/er/{CONFIG}"])
    def test_when_there_is_no_git_on_the_path(
        self, checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ):
        (checkout.folder / name).parent.mkdir(parents=True, exist_ok=True)
        monkeypatch.setenv("PATH", str(tmp_path))

        assert refusal(checkout, name).startswith(self.SAID)

    def test_when_the_index_cannot_be_read(self, checkout: Checkout):
        (checkout.folder / ".git" / "index").write_bytes(b"no index")

        assert "so that nothing was changed" in refusal(checkout)


def test_asking_changes_nothing(checkout: Checkout):
    before = (checkout.git("rev-parse", "HEAD"), checkout.git("status", "--porcelain", "--branch"))

    line(checkout)

    assert (checkout.git("rev-parse", "HEAD"), checkout.git("status", "--porcelain", "--branch")) == before
    assert checkout.config.read_text() == "config: {}\n"
