"""Probes of pg_net: what is stored, what is sent, what comes back, and what the worker does."""

from __future__ import annotations

import json
import queue
import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest
import trustme
from psycopg import errors

from tests.contract import catalog
from tests.contract.endpoint import Endpoint
from tests.contract.server import configured, quiet, refusal, wait_until

QUEUE, ANSWERS = "net.http_request_queue", "net._http_response"
#: Longer than the worker's pause after a batch.
PAUSE_IS_OVER = 1.5
WORKER = "select pid from pg_stat_activity where backend_type ilike '%pg_net%' or application_name ilike 'pg_net%'"


def request(caller, call, *parameters):
    (number,) = caller.execute(f"select net.{call}", parameters or None).fetchone()
    return number


def stored(caller, call, *parameters):
    """The row that a call puts into the queue, which is then taken back."""
    with caller.transaction(force_rollback=True):
        number = request(caller, call, *parameters)
        (row,) = catalog.rows(
            caller,
            "select method, url, headers, convert_from(body, 'UTF8') as body, timeout_milliseconds"
            f" from {QUEUE} where id = %s",
            (number,),
        )
        return row


def answer(caller, number):
    """The row of an answer, with what differs from run to run taken out."""
    asked = f"select status_code, content_type, headers, content, timed_out, error_msg from {ANSWERS} where id = %s"
    assert wait_until(lambda: caller.execute(asked, (number,)).fetchone() is not None), "no answer"
    (row,) = catalog.rows(caller, asked, (number,))
    if row["error_msg"]:
        row["error_msg"] = re.sub(r"\d+\.\d+|(?<=bytes )\d+", "N", row["error_msg"])
    return row


def answered(caller, number):
    return caller.execute(f"select 1 from {ANSWERS} where id = %s", (number,)).fetchone() is not None


def as_sent(received):
    headers = received.sent()
    headers["user-agent"] = re.sub(r"pg_net/[\w.-]+", "pg_net/<version>", headers.get("user-agent", "absent"))
    return {
        "method": received.method,
        "target": received.target,
        "headers": headers,
        "body": received.body.decode(),
    }


@contextmanager
def unsendable(caller, statement, *parameters) -> Iterator[None]:
    """A row in the queue that is taken out again whatever happens."""
    (number,) = caller.execute(f"{statement} returning id", parameters).fetchone()
    try:
        yield
    finally:
        caller.execute(f"delete from {QUEUE} where id = %s", (number,))


# What is there


@pytest.mark.parametrize(
    "name",
    [
        "http_get",
        "http_post",
        "http_delete",
        "_http_collect_response",
        "http_collect_response",
        "_await_response",
        "_urlencode_string",
        "_encode_url_with_params_array",
        "check_worker_is_up",
        "wait_until_running",
        "worker_restart",
        "wake",
    ],
)
def test_function(caller, name):
    return catalog.function(caller, "net", name)


@pytest.mark.parametrize("table", ["http_request_queue", "_http_response"])
def test_columns(caller, table):
    return catalog.columns(caller, f"net.{table}")


@pytest.mark.parametrize("table", ["http_request_queue", "_http_response"])
def test_table(caller, table):
    return catalog.relation(caller, f"net.{table}")


@pytest.mark.parametrize("table", ["http_request_queue", "_http_response"])
def test_privileges_of_public(caller, table):
    return catalog.privileges(caller, "public", f"net.{table}")


def test_privileges_of_public_on_schema_and_sequence(caller):
    return catalog.rows(
        caller,
        "select has_schema_privilege('public', 'net', 'usage') as usage,"
        " has_schema_privilege('public', 'net', 'create') as create,"
        " has_sequence_privilege('public', 'net.http_request_queue_id_seq', 'usage') as sequence",
    )


def test_relations(caller):
    return catalog.rows(
        caller, "select relname, relkind::text from pg_class where relnamespace = 'net'::regnamespace order by 1"
    )


@pytest.mark.parametrize("name", ["http_response", "http_response_result"])
def test_composite_type(caller, name):
    return catalog.columns(caller, f"net.{name}")


def test_request_status(caller):
    return caller.execute("select enum_range(null::net.request_status)::text[]").fetchone()[0]


@pytest.mark.parametrize("method", ["get", "Post", "DELETE", "PATCH", "HEAD", ""])
def test_method(caller, method):
    return refusal(caller, "select %s::net.http_method", (method,))


def test_extension(caller):
    return catalog.rows(caller, "select extrelocatable, extconfig from pg_extension where extname = 'pg_net'")


def test_settings(caller):
    return catalog.rows(
        caller, "select current_setting('pg_net.ttl') as ttl, current_setting('pg_net.batch_size') as batch_size"
    )


# What a call stores

CALLS = {
    "get": "http_get('http://h/')",
    "get, by position": "http_get('http://h/', '{\"a\": 1}', '{\"b\": \"c\"}', 7)",
    "get, by name": "http_get(timeout_milliseconds := 7, headers := '{}', params := '{}', url := 'http://h/')",
    "post": "http_post('http://h/')",
    "post, by position": "http_post('http://h/', '[1]', '{\"a\": 1}', '{\"Content-Type\": \"application/json\"}', 7)",
    "post, nothing but null": "http_post('http://h/', null, null, null)",
    "post, other headers": "http_post('http://h/', headers := '{\"b\": \"c\"}')",
    "post, no headers": "http_post('http://h/', headers := '{}')",
    "post, lower-case type": "http_post('http://h/', headers := '{\"content-type\": \"application/json\"}')",
    "post, type is null": "http_post('http://h/', headers := '{\"Content-Type\": null}')",
    "post, header is null": "http_post('http://h/', headers := '{\"b\": null}')",
    "post, a scalar": "http_post('http://h/', '\"ž\"')",
    "post, JSON null": "http_post('http://h/', 'null')",
    "post, timeout 0": "http_post('http://h/', timeout_milliseconds := 0)",
    "post, timeout -1": "http_post('http://h/', timeout_milliseconds := -1)",
    "delete": "http_delete('http://h/')",
    "delete, by position": "http_delete('http://h/', '{\"a\": 1}', '{\"b\": \"c\"}', 7, '{\"d\": 1}')",
    "get, params are null": "http_get('http://h/', null)",
    "get, headers are null": "http_get('http://h/', headers := null)",
    "get, headers are an array": "http_get('http://h/', headers := '[1]')",
}


@pytest.mark.parametrize("call", CALLS)
def test_stored(caller, call):
    return stored(caller, CALLS[call])


REFUSED = {
    "post, url is null": "http_post(null)",
    "get, url is null": "http_get(null)",
    "delete, url is null": "http_delete(null)",
    "post, timeout is null": "http_post('http://h/', timeout_milliseconds := null)",
    "post, charset": "http_post('http://h/', headers := '{\"Content-Type\": \"application/json; charset=utf-8\"}')",
    "post, other type": "http_post('http://h/', headers := '{\"content-type\": \"text/plain\"}')",
    "post, type in capitals": "http_post('http://h/', headers := '{\"CONTENT-TYPE\": \"Application/JSON\"}')",
    "post, headers are an array": "http_post('http://h/', headers := '[1]')",
    "get, params are an array": "http_get('http://h/', params := '[1]')",
}


@pytest.mark.parametrize("call", REFUSED)
def test_refused(caller, call):
    return refusal(caller, f"select net.{REFUSED[call]}")


def test_refusal_of_a_null_url_shows_the_headers(caller):
    with pytest.raises(errors.NotNullViolation) as refused:
        caller.execute('select net.http_post(null, headers := \'{"apikey": "canary"}\')')
    said = refused.value.diag
    return {"column": said.column_name, "shown": "canary" in (said.message_detail or "")}


def test_read_only_transaction(caller):
    with caller.transaction(force_rollback=True):
        caller.execute("set transaction read only")
        return refusal(caller, "select net.http_get('http://h/')")


URLS = [
    "http://h",
    "HTTP://H/Path",
    "https://h:8443/a?b=c#d",
    "http://h?a=b",
    "http://h/a b",
    "http://h/?a b",
    "http://h/ž",
    "http://ž/",
    "http://h/%20",
    "http://h/a/../b",
    "http://h//a",
    "http://u:p@h/",
    "http://127.0.0.1:80/",
    "https://h:443/",
    "http://[::1]:8000/",
    "http://h:/",
    "http:/h",
    "http:///h",
    "http://",
    "http://h:99999/",
    "http://h:port/",
    "http://ho st/",
    "http://h/\t",
    "http://h/\n",
    "h",
    "localhost:6666",
    "example.test/path",
    "/relative",
    "",
    " http://h/",
    "http://h/ ",
    "ftp://h/",
    "file:///etc/passwd",
    "http://h/'\"<>\\^`{}",
]


@pytest.mark.parametrize("url", URLS, ids=json.dumps)
def test_url(caller, url):
    found = refusal(caller, "select net.http_get(%s)", (url,))
    return found if found["sqlstate"] else stored(caller, "http_get(%s)", url)["url"]


PARAMS = [
    ("http://h/", {"a": "b"}),
    ("http://h", {"a": "b"}),
    ("http://h/?x=1", {"a b": "ž!"}),
    ("http://h/#end", {"a": "b"}),
    ("http://h/?", {"a": "b"}),
    ("http://h/", {"a": None, "b": 1}),
    ("http://h/", {"a": "-._~*'()/&=+"}),
    ("http://h/", {"a": [1, {"b": 2}]}),
    ("http://h/", {"": ""}),
]


@pytest.mark.parametrize(("url", "params"), PARAMS, ids=[f"{url} {json.dumps(params)}" for url, params in PARAMS])
def test_parameters(caller, url, params):
    return stored(caller, "http_get(%s, %s)", url, json.dumps(params))["url"]


def test_urlencode_every_ascii_character(caller):
    text = "".join(map(chr, range(1, 128)))
    return caller.execute("select net._urlencode_string(%s)", (text,)).fetchone()[0]


def test_numbers_go_up_by_one_and_a_rolled_back_one_is_burnt(caller):
    with caller.transaction(force_rollback=True):
        first = request(caller, "http_get('http://h/')")
        second = request(caller, "http_get('http://h/')")
    with caller.transaction(force_rollback=True):
        third = request(caller, "http_get('http://h/')")
    return [second - first, third - second]


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
def test_role_without_grants_posts(admin, endpoint, role):
    if admin.execute("select 1 from pg_roles where rolname = %s", (role,)).fetchone() is None:
        pytest.skip(f"no role {role}")
    admin.execute(f"set role {role}")
    request(admin, "http_post(%s)", endpoint.url)
    return endpoint.next().method


# What is sent

SENT = {
    "get": "http_get(%s || '/path?a=b#c')",
    "get with headers": 'http_get(%s, headers := \'{"Accept": "text/plain", "x-lower": "y"}\')',
    "post": 'http_post(%s || \'/path\', \'{"b": 1, "a": ["ž", null]}\')',
    "post without a body": "http_post(%s, null)",
    "post without headers": "http_post(%s, headers := null)",
    "post with a null header": 'http_post(%s, headers := \'{"Authorization": null, "X-Kept": "y"}\')',
    "post with an empty header": 'http_post(%s, headers := \'{"X-Empty": "", "X-Kept": "y"}\')',
    "post with a number as header": "http_post(%s, headers := '{\"X-Number\": 1}')",
    "post with an agent": 'http_post(%s, headers := \'{"user-agent": "mine"}\')',
    "post with spaces around": 'http_post(%s, headers := \'{"X-Spaces": "  a b  "}\')',
    "post with ž as header": 'http_post(%s, headers := \'{"X-Letter": "ž"}\')',
    "post with a key": 'http_post(%s, headers := \'{"Authorization": "Bearer key", "apikey": "key"}\')',
    "post of 2 MB": "http_post(%s, to_jsonb(repeat('x', 2000000)))",
    "delete": "http_delete(%s)",
    "delete with a body": "http_delete(%s, body := '{\"a\": 1}')",
    "path with dots": "http_get(%s || '/a/../b/./c')",
    "query with a letter": "http_get(%s || '/?a=ž')",
}


@pytest.mark.parametrize("call", SENT)
def test_sent(caller, endpoint, call):
    request(caller, SENT[call], endpoint.url)
    seen = as_sent(endpoint.next())
    return seen if len(seen["body"]) < 1000 else {**seen, "body": len(seen["body"])}


def test_sent_with_user_and_password(caller, endpoint):
    request(caller, "http_get(%s)", endpoint.url.replace("//", "//user:pass@"))
    return as_sent(endpoint.next())


def test_sent_with_a_line_break_in_a_header(caller, endpoint):
    number = request(caller, "http_get(%s, headers := %s)", endpoint.url, json.dumps({"X-A": "a\r\nX-B: b"}))
    row = answer(caller, number)
    return {"error": row["error_msg"], "headers": row["error_msg"] is None and as_sent(endpoint.next())["headers"]}


# What comes back

PATHS = [
    *(f"status/{status}" for status in (200, 201, 400, 401, 403, 404, 429, 500, 502, 503)),
    "empty",
    "nothing",
    "json",
    "zero",
    "twice",
    "types",
    "bare",
    "old",
    "chunked",
    "silent",
    "reset",
    "garbage",
    "short",
    "brokenchunks",
]


@pytest.mark.parametrize("path", PATHS)
def test_answer(caller, endpoint, path):
    return answer(caller, request(caller, "http_post(%s)", f"{endpoint.url}/{path}"))


def test_answer_of_a_megabyte(caller, endpoint):
    row = answer(caller, request(caller, "http_get(%s)", f"{endpoint.url}/large"))
    return {**row, "content": len(row["content"])}


def test_answer_that_is_no_text(caller, endpoint):
    number = request(caller, "http_get(%s)", f"{endpoint.url}/bytes")
    asked = f"select encode(textsend(content), 'hex') from {ANSWERS} where id = %s"
    assert wait_until(lambda: answered(caller, number))
    return caller.execute(asked, (number,)).fetchone()[0]


@pytest.mark.parametrize("path", ["hold/whole", "half/body"])
def test_answer_too_late(caller, endpoint, path):
    return answer(caller, request(caller, "http_get(%s, timeout_milliseconds := 150)", f"{endpoint.url}/{path}"))


def test_answer_with_no_timeout(caller, endpoint):
    number = request(caller, "http_get(%s, timeout_milliseconds := 0)", f"{endpoint.url}/hold/it")
    endpoint.next()
    endpoint.released.set()
    return answer(caller, number)


def test_answer_of_a_closed_port(caller, endpoint):
    with closing(socket.socket()) as closed:
        closed.bind(("127.0.0.1", 0))
        return answer(caller, request(caller, "http_get(%s)", f"http://127.0.0.1:{closed.getsockname()[1]}/"))


def test_answer_of_an_unknown_host(caller):
    return answer(caller, request(caller, "http_get('http://nowhere.invalid/', timeout_milliseconds := 20000)"))


def test_answer_of_tls_to_a_plain_port(caller, endpoint):
    return answer(caller, request(caller, "http_get(%s)", endpoint.url.replace("http:", "https:")))


def test_answer_of_tls_that_nobody_vouches_for(caller, endpoint):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    stranger = Endpoint(tls=context)
    try:
        return answer(caller, request(caller, "http_get(%s)", stranger.url))
    finally:
        stranger.end()


COLLECTED = "select (net._http_collect_response(%s, async := %s)).*"


@pytest.mark.parametrize("path", ["status/200", "status/500", "silent"])
def test_collected(caller, endpoint, path):
    number = request(caller, "http_get(%s)", f"{endpoint.url}/{path}")
    return [str(part) for part in caller.execute(COLLECTED, (number, False)).fetchone()]


def test_collected_before_it_is_there(caller, endpoint):
    number = request(caller, "http_get(%s)", f"{endpoint.url}/hold/it")
    endpoint.next()
    return caller.execute(COLLECTED, (number, True)).fetchone()


def test_collected_unknown(caller):
    return caller.execute(COLLECTED, (-1, True)).fetchone()


def test_collected_unknown_and_waited_for(caller):
    caller.execute("set statement_timeout = '400ms'")
    return refusal(caller, COLLECTED, (-1, False))


def test_created_is_when_the_batch_began(caller, endpoint):
    number = request(caller, "http_get(%s)", f"{endpoint.url}/hold/it")
    endpoint.next()
    (arrived,) = caller.execute("select clock_timestamp()").fetchone()
    endpoint.released.set()
    answer(caller, number)
    (created,) = caller.execute(f"select created from {ANSWERS} where id = %s", (number,)).fetchone()
    return created < arrived


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["same", "port", "host"])
def test_redirect(caller, endpoint, endpoints, where, status):
    """What of a POST with keys arrives where it is sent on to."""
    target = f"{endpoints[where].url}/arrived"
    number = request(
        caller,
        'http_post(%s, \'{"a": 1}\', headers := \'{"Authorization": "Bearer key", "apikey": "key"}\')',
        f"{endpoint.url}/to/{status}?{target}",
    )
    endpoint.next()
    arrived = as_sent(endpoints[where].next())
    headers = answer(caller, number)["headers"]
    return {
        "method": arrived["method"],
        "body": arrived["body"],
        "headers": arrived["headers"],
        "headers kept": headers.get("X-Which"),
    }


@pytest.mark.parametrize("call", ["http_get", "http_delete"])
def test_redirect_of(caller, endpoint, call):
    request(caller, f"{call}(%s)", f"{endpoint.url}/to/302?/arrived")
    endpoint.next()
    return as_sent(endpoint.next())


def test_redirect_with_user_and_password_to_another_host(caller, endpoint, endpoints):
    target = f"{endpoints['host'].url}/arrived"
    request(caller, "http_get(%s)", endpoint.url.replace("//", "//user:pass@") + f"/to/302?{target}")
    return "authorization" in as_sent(endpoints["host"].next())["headers"]


def test_redirect_to_a_file(caller, endpoint):
    return answer(caller, request(caller, "http_get(%s)", f"{endpoint.url}/to/302?file:///etc/passwd"))


def test_redirect_to_nowhere(caller, endpoint):
    row = answer(caller, request(caller, "http_get(%s)", f"{endpoint.url}/status/302"))
    return {"status": row["status_code"], "content": row["content"]}


def test_redirect_of_twenty_five_hops(caller, endpoint):
    row = answer(caller, request(caller, "http_get(%s)", f"{endpoint.url}/hops/25"))
    return {"status": row["status_code"], "content": row["content"]}


# When it is sent


def arrivals(endpoint, silence=2.5):
    """The targets of what comes until nothing does, for longer than a worker needs to start again."""
    found = []
    with suppress(queue.Empty):
        while True:
            found.append(endpoint.next(silence).target)
    return found


def test_rolled_back_is_never_sent(caller, endpoint):
    with caller.transaction(force_rollback=True):
        request(caller, "http_get(%s)", f"{endpoint.url}/rolled-back")
    request(caller, "http_get(%s)", f"{endpoint.url}/committed")
    return [endpoint.next().target, endpoint.nothing_comes()]


def test_rolled_back_to_a_savepoint_is_not_sent(caller, endpoint):
    with caller.transaction():
        with caller.transaction(force_rollback=True):
            request(caller, "http_get(%s)", f"{endpoint.url}/rolled-back")
        request(caller, "http_get(%s)", f"{endpoint.url}/committed")
    return [endpoint.next().target, endpoint.nothing_comes()]


def test_nothing_is_sent_before_the_commit(caller, endpoint):
    with caller.transaction():
        request(caller, "http_get(%s)", endpoint.url)
        early = endpoint.nothing_comes()
    return [early, endpoint.next().target]


def test_row_inserted_by_hand_waits_for_a_wake(caller, endpoint):
    quiet(PAUSE_IS_OVER)
    caller.execute(
        f"insert into {QUEUE} (method, url, timeout_milliseconds) values ('GET', %s, 1000)", (f"{endpoint.url}/hand",)
    )
    waits = endpoint.nothing_comes()
    caller.execute("select net.wake()")
    return [waits, as_sent(endpoint.next())]


def test_five_hundred_requests_of_one_transaction(caller, endpoint):
    caller.execute("select max(net.http_get(%s || '/n')) from generate_series(1, 500)", (endpoint.url,))
    return len([endpoint.next() for _ in range(500)])


def test_row_stays_in_the_queue_while_it_is_sent(caller, endpoint):
    number = request(caller, "http_get(%s)", f"{endpoint.url}/hold/it")
    endpoint.next()
    asked = f"select count(*) from {QUEUE} where id = %s"
    during = caller.execute(asked, (number,)).fetchone()[0]
    endpoint.released.set()
    answer(caller, number)
    return [during, caller.execute(asked, (number,)).fetchone()[0]]


def test_batch_is_answered_when_its_slowest_is(caller, endpoint):
    with caller.transaction():
        quick = request(caller, "http_get(%s)", f"{endpoint.url}/quick")
        slow = request(caller, "http_get(%s)", f"{endpoint.url}/hold/slow")
    came = {endpoint.next().target, endpoint.next().target}
    quiet(0.3)
    early = answered(caller, quick)
    endpoint.released.set()
    answer(caller, slow)
    return {"in parallel": sorted(came), "quick is answered first": early}


def test_later_request_waits_for_the_batch(caller, endpoint):
    request(caller, "http_get(%s)", f"{endpoint.url}/hold/first")
    endpoint.next()
    request(caller, "http_get(%s)", f"{endpoint.url}/second")
    waits = endpoint.nothing_comes()
    endpoint.released.set()
    return [waits, endpoint.next().target]


@pytest.mark.parametrize("order", [f"truncate {QUEUE}", f"delete from {QUEUE}", f"truncate {ANSWERS}"])
def test_queue_is_locked_while_it_is_sent(ours, caller, endpoint, order):
    number = request(caller, "http_get(%s)", f"{endpoint.url}/hold/it")
    endpoint.next()
    caller.execute("set lock_timeout = '200ms'")
    found = refusal(caller, order) if "_http_response" not in order else refusal(caller, f"lock table {ANSWERS}")
    endpoint.released.set()
    answer(caller, number)
    return found


def test_third_request_in_a_row_waits_for_the_pause(caller, endpoint):
    """Which of three commits, each after the arrival of the one before, is not heard at once."""
    quiet(2 * PAUSE_IS_OVER)
    late = []
    for letter in "abc":
        began = time.monotonic()
        request(caller, "http_get(%s)", f"{endpoint.url}/{letter}")
        endpoint.next()
        late.append(time.monotonic() - began > 0.5)
    return late


def test_batch_size(caller, admin, endpoint):
    with configured(admin, "pg_net.batch_size", "2"):
        quiet(0.2)
        with caller.transaction():
            for letter in "abc":
                request(caller, "http_get(%s)", f"{endpoint.url}/{letter}")
        first = {endpoint.next().target, endpoint.next().target}
        paused = endpoint.nothing_comes(0.5)
        return {"first": sorted(first), "then a pause": paused, "then": endpoint.next().target}


def test_answers_expire_when_the_worker_is_awake(caller, admin, endpoint):
    quiet(PAUSE_IS_OVER)
    caller.execute(f"insert into {ANSWERS} (id, created) values (-7, now() - interval '7 hours')")
    caller.execute(f"insert into {ANSWERS} (id, created) values (-5, now() - interval '5 hours')")
    quiet(0.3)
    asleep = [answered(caller, -7), answered(caller, -5)]
    answer(caller, request(caller, "http_get(%s)", endpoint.url))
    return {"asleep": asleep, "awake": [answered(caller, -7), answered(caller, -5)]}


def test_ttl(caller, admin, endpoint):
    with configured(admin, "pg_net.ttl", "1 hour"):
        quiet(0.2)
        caller.execute(f"insert into {ANSWERS} (id, created) values (-2, now() - interval '2 hours')")
        answer(caller, request(caller, "http_get(%s)", endpoint.url))
        return answered(caller, -2)


# The worker


def test_worker_is_up(caller):
    return caller.execute("select net.check_worker_is_up()::text").fetchone()[0]


def test_worker_restart(ours, caller, endpoint):
    (said,) = caller.execute("select net.worker_restart()").fetchone()
    caller.execute("select net.wait_until_running()")
    return [said, answer(caller, request(caller, "http_get(%s)", endpoint.url))["status_code"]]


def test_worker_restarted_while_it_sends(ours, caller, endpoint):
    number = request(caller, "http_get(%s)", f"{endpoint.url}/hold/it")
    endpoint.next()
    caller.execute("select net.worker_restart()")
    again = not endpoint.nothing_comes(PAUSE_IS_OVER)
    endpoint.released.set()
    return {"sent again": again, "status": answer(caller, number)["status_code"]}


def test_worker_ended_while_it_sends(caller, admin, endpoint):
    number = request(caller, "http_get(%s)", f"{endpoint.url}/hold/it")
    endpoint.next()
    admin.execute(f"select pg_terminate_backend(pid) from ({WORKER}) as worker")
    again = not endpoint.nothing_comes(PAUSE_IS_OVER)
    endpoint.released.set()
    return {"sent again": again, "status": answer(caller, number)["status_code"]}


def test_worker_that_is_down_is_missed_and_rows_wait_for_it(caller, admin, endpoint):
    quiet(PAUSE_IS_OVER)
    check = "select net.check_worker_is_up()"
    admin.execute(f"select pg_terminate_backend(pid) from ({WORKER}) as worker")
    missed = wait_until(lambda: refusal(caller, check)["sqlstate"] is not None, 5.0, 0.001)
    said = refusal(caller, check)
    number = request(caller, "http_get(%s)", endpoint.url)
    return {"missed": missed, "said": said, "then": answer(caller, number)["status_code"]}


def test_worker_cannot_be_ended_by_the_caller(hosted):
    assert wait_until(lambda: hosted.execute(WORKER).fetchone() is not None)
    return refusal(hosted, f"select pg_terminate_backend(pid) from ({WORKER}) as worker")["sqlstate"]


POISON = {
    "timeout -1": ("GET", "{}", -1),
    "headers are an array": ("GET", "[1]", 1000),
}


@pytest.mark.parametrize("row", POISON)
def test_row_that_stops_the_worker(ours, caller, endpoint, row):
    """Whether one row keeps everybody else's from being sent."""
    method, headers, timeout = POISON[row]
    insert = f"insert into {QUEUE} (method, url, headers, timeout_milliseconds) values (%s, %s, %s, %s)"
    with unsendable(caller, insert, method, f"{endpoint.url}/poison", headers, timeout):
        request(caller, "http_get(%s)", f"{endpoint.url}/other")
        came = arrivals(endpoint)
    after = [] if "/other" in came else [endpoint.next().target]
    return {"sent beside it": sorted(came), "sent without it": after}


UNSENDABLE = ["nonsense", "http://127.0.0.1:99999/", "http://xn--/", "http:///", "ftp://127.0.0.1/", "http://a b/"]


@pytest.mark.parametrize("url", UNSENDABLE)
def test_url_inserted_by_hand(caller, endpoint, url):
    (number,) = caller.execute(
        f"insert into {QUEUE} (method, url, timeout_milliseconds) values ('GET', %s, 3000) returning id", (url,)
    ).fetchone()
    caller.execute("select net.wake()")
    return answer(caller, number)
