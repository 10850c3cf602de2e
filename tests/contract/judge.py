"""Holds what a probe saw against the record of the real extension, and against the differences that are listed.

A record is one file of `recorded/`. A listed difference is a row of a table in docs/reference/platform.md. The row
shows both sides, and fails when the emulator is fixed and when the emulator differs in another way.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).with_name("recorded")
#: The page that lists differences: of the emulators, and between the releases of pg_cron.
PAGE = Path(__file__).parents[2] / "docs/reference/platform.md"
#: Files are named by release: pg_cron's `extversion` names only its SQL.
RELEASES = {("pg_cron", "1.4-1"): "1.4.2", ("pg_cron", "1.6"): "1.6.7"}
NEWEST = {"pg_net": "0.20.4", "supabase_vault": "0.3.1", "pg_cron": "1.6.7"}
EMULATOR = "-standin"
#: What a server of somebody else's may show otherwise: pg_net's releases keep more or less of a long answer.
BY_VERSION = frozenset({"answer_of_a_megabyte"})

Observation = Any


def text_of(observation: Observation) -> str:
    return json.dumps(observation, ensure_ascii=False, sort_keys=True)


def cell(observation: Observation) -> str:
    """An observation as it stands in a table: one line of JSON that holds no bar."""
    return f"`{text_of(observation)}`".replace("|", "\\u007c")


def apart(real: Observation, ours: Observation) -> tuple[Observation, Observation]:
    """The parts in which two observations differ: of two objects or equally long lists, their unequal members."""
    if isinstance(real, list) and isinstance(ours, list) and len(real) == len(ours):
        pairs = [apart(one, other) for one, other in zip(real, ours, strict=True) if one != other]
        return [one for one, _ in pairs], [other for _, other in pairs]
    if not isinstance(real, dict) or not isinstance(ours, dict):
        return real, ours
    parts = {name: apart(real.get(name, "absent"), ours.get(name, "absent")) for name in sorted({*real, *ours})}
    unequal = {name: (one, other) for name, (one, other) in parts.items() if one != other}
    return {name: one for name, (one, _) in unequal.items()}, {name: other for name, (_, other) in unequal.items()}


def without_words(observation: Observation) -> Observation:
    """An observation without libcurl's words, which its releases change."""
    if isinstance(observation, list):
        return [without_words(one) for one in observation]
    if isinstance(observation, dict):
        said = {name: without_words(one) for name, one in observation.items()}
        return {**said, **({"error_msg": "..."} if isinstance(said.get("error_msg"), str) else {})}
    return observation


@dataclass(frozen=True)
class Difference:
    """One row of the table."""

    probe: str
    real: str
    ours: str
    reason: str

    @property
    def row(self) -> str:
        return f"| {self.probe} | {self.real} | {self.ours} | {self.reason} |"


def listed(table: str = "contract differences") -> dict[str, Difference]:
    """The differences that a table of docs/reference/platform.md lists, by probe."""
    page = PAGE.read_text("utf-8")
    rows = page.split(f"<!-- {table}: begin -->")[1].split(f"<!-- {table}: end -->")[0].strip().splitlines()[2:]
    found = [Difference(*(part.strip() for part in row.strip().strip("|").split(" | "))) for row in rows]
    assert all(one.reason for one in found)
    return {one.probe: one for one in found}


@dataclass
class Record:
    """What one release of a real extension showed."""

    extension: str
    release: str
    postgresql: str = ""
    date: str = ""
    probes: dict[str, Observation] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return RECORDED / f"{self.extension}-{self.release}.json"

    @classmethod
    def read(cls, extension: str, release: str) -> Record:
        empty = cls(extension, release)
        return cls(**json.loads(empty.path.read_text("utf-8"))) if empty.path.exists() else empty

    def write(self, postgresql: str) -> None:
        """Write with today's date; a probe that was not run this time keeps what it showed before."""
        content = {
            "extension": self.extension,
            "release": self.release,
            "postgresql": postgresql,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "probes": dict(sorted(self.probes.items())),
        }
        RECORDED.mkdir(exist_ok=True)
        self.path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", "utf-8")


def release_of(extension: str, version: str, variant: str = "") -> str:
    """The release whose record counts for an installed version: its own, or the newest recorded one."""
    release = RELEASES.get((extension, version), version.removesuffix(EMULATOR))
    if not version.endswith(EMULATOR) and (RECORDED / f"{extension}-{release}.json").exists():
        return release + variant
    return (release if (extension, version) in RELEASES else NEWEST[extension]) + variant


class Judge:
    """Compares one extension's probes with its record, or writes the record."""

    def __init__(
        self, extension: str, version: str, *, variant: str = "", recording: bool = False, ours: bool = True
    ) -> None:
        self.emulator = version.endswith(EMULATOR)
        self.ours = ours
        self.recording = recording and not self.emulator
        self.record = Record.read(extension, release_of(extension, version, variant))
        self.recorded_anew = 0
        self._listed = listed() if self.emulator else {}

    def verdict(self, probe: str, observation: Observation) -> tuple[str, str]:
        """Return the kind of outcome, and for a failure what to do about it."""
        # As it would come back from the file.
        seen = json.loads(text_of(observation))
        if self.recording:
            self.record.probes[probe] = seen
            self.recorded_anew += 1
            return "recorded", ""
        if probe not in self.record.probes:
            return "failed", f"{self.record.path.name} has no record of {probe}: run the suite with --record on it"
        real = self.record.probes[probe]
        known = self._listed.get(f"{self.record.extension} {probe}")
        if seen == real:
            return (
                ("failed", f"no longer differs: take this row out of docs/reference/platform.md\n{known.row}")
                if known
                else ("same", "")
            )
        if not self.ours and (probe in BY_VERSION or without_words(seen) == without_words(real)):
            return "by version", ""
        theirs, ours = apart(real, seen)
        difference = Difference(f"{self.record.extension} {probe}", cell(theirs), cell(ours), "...")
        if known and (known.real, known.ours) == (difference.real, difference.ours):
            return "listed", ""
        advice = (
            "mend the emulator, or list it in docs/reference/platform.md with its reason:"
            if self.emulator
            else "differs:"
        )
        return "failed", f"{self.record.path.name} {advice}\n{difference.row}"
