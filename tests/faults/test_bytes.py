"""Text of others reaches a terminal, a log, a comment, a page, a scraper and a webhook as text, and no secret does."""

from __future__ import annotations

import codecs
import io
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle, product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from pydantic import BaseModel

from bubble_sync.cli import doctor, failures, runs, status, trace, verify
from bubble_sync.cli.exit_codes import failure_of
from bubble_sync.cli.metrics import text_of
from bubble_sync.cli.output import (
    print_answer,
    print_coloured,
    print_document,
    print_log,
    print_markdown,
    print_text,
    progress,
    screen,
)
from bubble_sync.cli.render.diff import comparison_document, comparison_markdown, comparison_text
from bubble_sync.cli.render.drift import report_document, report_text, reports_markdown
from bubble_sync.cli.render.item_page import item_page
from bubble_sync.cli.render.report_page import Served, page
from bubble_sync.cli.render.watch_screen import drawn
from bubble_sync.compare.diff import Change, Comparison, ObjectDiff, State
from bubble_sync.compare.drift import DriftReport
from bubble_sync.compare.liveness import Liveness
from bubble_sync.compare.unmanaged import UnmanagedObject
from bubble_sync.config.keys import masked
from bubble_sync.config.project_folder import stack_names
from bubble_sync.config.settings import SECRET_KEYS, ConfigValue, StackSettings, check_settings
from bubble_sync.errors import SyncError
from bubble_sync.health import metrics as measured
from bubble_sync.health.doctor import Diagnosis
from bubble_sync.health.failures import Failures
from bubble_sync.health.report import Report
from bubble_sync.health.runs import Runs
from bubble_sync.health.status import Status, WatchSnapshot
from bubble_sync.health.trace import Trace
from bubble_sync.health.verify import Checklist, ChecklistLine
from bubble_sync.printable import unencodable
from bubble_sync.providers.converging import show
from bubble_sync.records.messages import message_pattern, readable
from bubble_sync.records.verdicts import VERDICTS, first_characters
from tests.faults import bytes as others
from tests.faults.bytes import (
    SEED,
    Outline,
    anything,
    examples,
    foreign,
    judge_log,
    judge_markdown,
    judge_secrets,
    storable,
)
from tests.faults.conftest import Row
from tests.fixtures.specs import job_spec, secret_spec
from tests.unit.test_report import past, report, sent

SIZES = [pytest.param(3, id="sample"), pytest.param(120, id="whole", marks=pytest.mark.matrix)]
ANSWERS: dict[str, tuple[type, Callable[..., None]]] = {
    "doctor": (Diagnosis, doctor._show),
    "failures": (Failures, failures._show),
    "runs": (Runs, runs._show),
    "status": (Status, status._show),
    "trace": (Trace, trace._show),
    "verify": (Checklist, verify._show),
}

FAILURES = st.builds(
    lambda found, why: replace(found, unknown={"items": why} if why else {}), anything(Failures), foreign
)
SENT = st.builds(sent, st.just(3), st.sampled_from(VERDICTS) | foreign, function=foreign)


@contextmanager
def printed() -> Iterator[io.StringIO]:
    """Catch both standard streams."""
    with pytest.MonkeyPatch.context() as patch:
        stream = io.StringIO()
        patch.setattr(sys, "stdout", stream)
        patch.setattr(sys, "stderr", stream)
        yield stream


def sweep(size: int, strategy: st.SearchStrategy[Any], judge: Callable[[Any], None]) -> None:
    """Call the judge with so many values of a strategy."""
    if size > 10:
        sys.stdout.write(f"BYTES_SEED={SEED}\n")
    seed(SEED)(examples(size, fixed=size < 10)(given(strategy)(judge)))()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("command", ANSWERS)
def test_an_answer_acts_neither_on_a_terminal_nor_in_a_log_nor_as_json(command: str, size: int, tally: list[Row]):
    kind, show = ANSWERS[command]

    def judge(answer: Any) -> None:
        with printed() as text:
            print_answer(answer, show, next="`bubble-sync doctor`", as_json=False)
        judge_log(text.getvalue())
        with printed() as document:
            print_answer(answer, show, next="", as_json=True)
        judge_log(document.getvalue())
        json.loads(document.getvalue())

    sweep(size, anything(kind), judge)
    tally.append(Row("bytes", f"answer of {command}: text and JSON (in-process)", size, size))


@pytest.mark.parametrize("size", SIZES)
def test_a_live_screen_shows_text_of_others_as_text(size: int, tally: list[Row]):
    def judge(drawing: tuple[WatchSnapshot, Diagnosis, str]) -> None:
        with printed() as text:
            screen().print(drawn(*drawing, 1.0))
        judge_log(text.getvalue())

    sweep(size, st.tuples(anything(WatchSnapshot), anything(Diagnosis), foreign), judge)
    tally.append(Row("bytes", "watch (in-process)", size, size))


@pytest.mark.parametrize("size", SIZES)
def test_json_reads_back_as_it_was(size: int, tally: list[Row]):
    def judge(document: dict[str, str]) -> None:
        with printed() as text:
            print_document(document)
        judge_log(text.getvalue())
        assert json.loads(text.getvalue()) == json.loads(json.dumps(document))

    sweep(size, st.dictionaries(foreign, foreign, max_size=3), judge)
    tally.append(Row("bytes", "JSON (in-process)", size, size))


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    """Draw a comparison whose names, values and reasons are of others."""
    changes = st.lists(
        st.builds(Change, field=st.sampled_from(["body", "schedule", "moved"]), actual=foreign, wanted=foreign)
        | st.builds(Change, field=foreign, actual=foreign, wanted=foreign),
        max_size=2,
    ).map(tuple)
    specs = st.builds(lambda name: secret_spec(name=name), storable.filter(bool)) | st.just(job_spec())
    items = st.builds(ObjectDiff, spec=specs, state=st.sampled_from(State), changes=changes, reason=foreign)
    found = st.builds(UnmanagedObject, what=foreign, text=foreign, sql=foreign)
    return Comparison("test", draw(st.lists(items, min_size=1, max_size=3)), draw(st.lists(found, max_size=2)))


@pytest.mark.parametrize("size", SIZES)
def test_a_comparison_is_text_in_a_terminal_and_in_a_comment(size: int, tally: list[Row]):
    def judge(comparison: Comparison) -> None:
        with printed() as text:
            print_coloured(comparison_text(comparison))
            print_document(comparison_document(comparison))
        judge_log(text.getvalue())
        with printed() as text:
            print_markdown(comparison_markdown(comparison))
        judge_markdown(text.getvalue())

    sweep(size, comparisons(), judge)
    tally.append(Row("bytes", "diff: text, JSON, Markdown (in-process)", size, size))


@pytest.mark.parametrize("size", SIZES)
def test_a_drift_report_is_text_in_a_terminal_and_in_an_issue(size: int, tally: list[Row]):
    def judge(reports: list[DriftReport]) -> None:
        with printed() as text:
            for report in reports:
                print_coloured(report_text(report))
                print_document(report_document(report))
                progress(f"error: {report.cause}")
        judge_log(text.getvalue())
        with printed() as text:
            print_markdown(reports_markdown(reports))
        judge_markdown(text.getvalue())

    sweep(size, st.lists(anything(DriftReport), min_size=1, max_size=2), judge)
    tally.append(Row("bytes", "drift: text, JSON, Markdown (in-process)", size, size))


def unmarked(text: str) -> list[str]:
    """Return the elements of a page, except the marks of commands: a remedy may quote a name that holds one."""
    return [tag for tag, found in Outline(text).elements if (tag, *found) != ("code", ("class", "command"))]


def of_our_checks(report: Report) -> Report:
    """Give the findings ids, which are ours alone; each second one follows from the one before."""
    findings = [
        replace(finding, id=f"check_{place}", follows=(f"check_{place - 1}",) if place % 2 else ())
        for place, finding in enumerate(report.diagnosis.findings)
    ]
    return replace(report, diagnosis=replace(report.diagnosis, findings=tuple(findings)))


@pytest.mark.parametrize("size", SIZES)
def test_a_page_has_the_same_elements_whatever_a_text_holds(size: int, tally: list[Row]):
    def judge(pair: tuple[Report, Report]) -> None:
        hostile, plain = (page(of_our_checks(one)) for one in pair)
        assert not others.acting_characters(hostile)
        assert unmarked(hostile) == unmarked(plain)
        assert not [name for _, found in Outline(hostile).elements for name, _ in found if name.startswith("on")]
        judge_secrets(hostile)

    pages = st.builds(
        report, stack=foreign, checklist=anything(tuple[ChecklistLine, ...]), liveness=anything(Liveness),
        diagnosis=anything(Diagnosis), failures=FAILURES,
        history=st.builds(past, sent=st.lists(SENT, max_size=2).map(tuple)),
    )  # fmt: skip
    sweep(size, pages.map(lambda value: (value, others.plain(value))), judge)
    tally.append(Row("bytes", "report: HTML (in-process)", size, size))


@pytest.mark.parametrize("size", SIZES)
def test_the_page_of_an_item_has_the_same_elements_whatever_a_text_holds(size: int, tally: list[Row]):
    served = Served(10.0)

    def judge(pair: tuple[Trace, Trace]) -> None:
        hostile, plain = (item_page("prod", served, one) for one in pair)
        assert not others.acting_characters(hostile)
        assert unmarked(hostile) == unmarked(plain)
        judge_secrets(hostile)

    sweep(size, anything(Trace).map(lambda value: (value, others.plain(value))), judge)
    tally.append(Row("bytes", "page of an item: HTML (in-process)", size, size))


@pytest.mark.parametrize("size", SIZES)
def test_a_scraper_reads_a_sample_for_each_series_whatever_a_label_holds(size: int, tally: list[Row]):
    def judge(found: measured.Measured) -> None:
        text = text_of(found)
        assert not others.acting_characters(text)
        families = list(text_string_to_metric_families(text))
        series = [(one.name, *sorted(one.labels.items())) for family in families for one in family.samples]
        assert len(set(series)) == len(series)

    sweep(size, anything(measured.Measured), judge)
    tally.append(Row("bytes", "metrics: OpenMetrics (in-process)", size, size))


@pytest.mark.parametrize("size", SIZES)
def test_an_error_is_text_on_a_terminal_and_in_the_output_of_pulumi(size: int, tally: list[Row]):
    kinds = st.sampled_from([SyncError, *SyncError.__subclasses__()])

    def judge(problem: SyncError) -> None:
        with printed() as text:
            progress(f"error: {failure_of(problem).message}")
            show(f"kept {problem}")
            sys.stdout.write("".join(traceback.format_exception_only(problem)))
        judge_log(text.getvalue())

    sweep(size, st.builds(lambda kind, text: kind(text), kinds, foreign), judge)
    tally.append(Row("bytes", "errors (in-process)", size, size))


@pytest.mark.parametrize("size", SIZES)
def test_what_an_encoding_lacks_is_escaped(size: int, tally: list[Row]):
    def judge(document: dict[str, str]) -> None:
        codecs.register_error("escaped", unencodable)
        with printed() as text:
            print_document(document)
        for encoding in ("ascii", "iso-8859-1", "utf-8"):
            written = text.getvalue().encode(encoding, "escaped")
            assert json.loads(written.decode(encoding)) == json.loads(json.dumps(document))

    sweep(size, st.dictionaries(foreign, foreign, max_size=3), judge)
    tally.append(Row("bytes", "JSON to streams of other encodings (in-process)", size, size))


def keys_of(model: type[BaseModel], before: str = "") -> Iterator[str]:
    """Yield each key of the configuration, dotted below its group."""
    for name, field in model.model_fields.items():
        key = f"{before}{field.alias or name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys_of(field.annotation, f"{key}.")
        else:
            yield key


def nested(values: dict[str, Any]) -> dict[str, ConfigValue]:
    """Return a configuration as Pulumi gives it: groups are objects in JSON."""
    groups: dict[str, Any] = {}
    for key, value in values.items():
        group, _, name = key.partition(".")
        if name:
            groups.setdefault(group, {})[name] = value
        else:
            groups[key] = value if isinstance(value, str) else json.dumps(value)
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in groups.items()}
    return {key: ConfigValue(text, key in SECRET_KEYS) for key, text in texts.items()}


KEYS = sorted(keys_of(StackSettings))
WORST = ("\x1b[2J", "\ud800", "9" * 5000, float("inf"), [["x"]], None, '{"a":' * 10_000)
VALUES = (
    foreign
    | st.sampled_from(["", "{", "1e999", "-0", "9" * 5000, "true", "null", "NaN", "* * * * *"])
    | st.none() | st.booleans() | st.integers() | st.floats() | st.lists(foreign, max_size=2)
    | st.dictionaries(foreign, foreign, max_size=2)
)  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
def test_settings_are_taken_or_refused_by_key_in_printable_lines_without_a_secret(size: int, tally: list[Row]):
    secret = st.sampled_from(others.SECRETS)

    def judge(given: tuple[dict[str, Any], str]) -> None:
        changes, private = given
        values = {**dict.fromkeys(SECRET_KEYS, f"{private} {private}"), **changes}
        settings, problems = check_settings(nested(values))
        assert settings is not None or problems
        text = "".join(f"\n- {problem}" for problem in problems)
        with printed() as shown:
            progress(text)
        judge_log(shown.getvalue())
        # Values of the keys that are secret, which the problems name.
        judge_secrets(shown.getvalue())

    sweep(size, st.tuples(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4), secret), judge)
    # Each key with each value; in the sample, with one of them.
    cases = product(KEYS, WORST) if size > 10 else zip(KEYS, cycle(WORST), strict=False)
    for number, (key, value) in enumerate(cases, size + 1):
        judge(({key: value}, others.SECRETS[1]))
        points = number
    tally.append(Row("bytes", f"settings: {len(KEYS)} keys (in-process)", points, points))


@pytest.mark.parametrize("size", SIZES)
def test_a_message_and_an_answer_are_shown_in_one_line_without_a_secret(size: int, tally: list[Row]):
    def judge(given: tuple[str, str, str]) -> None:
        text = given[1].join((given[0], given[2]))
        for shown in (readable(text), message_pattern(text), first_characters(text.encode("utf-8", "replace"))):
            judge_secrets(shown)
            assert len(shown.splitlines()) <= 1

    sweep(size, st.tuples(foreign, st.sampled_from(others.SECRETS).map(" {} ".format), foreign), judge)
    tally.append(Row("bytes", "messages and answers without secrets (in-process)", size, size))


@pytest.mark.parametrize(
    "text", ["a" * 10**6, "eyJ" * 10**5, "pulumi up " * 10**4, "1" * 10**6, "id " * 10**5, "#" * 10**6]
)
def test_a_long_message_takes_no_long_time(text: str):
    began = time.process_time()
    with printed() as shown:
        print_text(readable(text), message_pattern(text), text[:30_000])
        print_document({"text": text[:30_000]})

    assert shown.getvalue()
    assert time.process_time() - began < 5


@pytest.mark.parametrize("size", SIZES)
def test_pulumis_output_may_hold_every_byte_and_none_acts(size: int, tally: list[Row]):
    def judge(given: bytes) -> None:
        with printed() as shown:
            print_log(masked(given.decode("utf-8", "replace")))
        judge_log(shown.getvalue())
        judge_secrets(shown.getvalue(), others.SECRETS[:2])

    texts = st.tuples(foreign, st.sampled_from(others.SECRETS).map("\n{} ".format), foreign).map("".join)
    sweep(size, st.binary(max_size=50) | texts.map(lambda text: text.encode("utf-8", "surrogatepass")), judge)
    tally.append(Row("bytes", "ci: output of Pulumi (in-process)", size, size))


def test_a_file_whose_name_is_no_stacks_reaches_no_command(tmp_path: Path):
    (tmp_path / "Pulumi.yaml").write_text("name: x\n")
    for name in ("prod", "@org", "a b", "*", "`x`", "\x1b[2J", "::error::x", "a\nb"):
        (tmp_path / f"Pulumi.{name}.yaml").write_text("")

    assert stack_names(tmp_path) == ["prod"]
