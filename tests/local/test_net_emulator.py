"""The pg_net emulator keeps the documented contract: what is queued, what is sent, and what comes back."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg
import pytest
from psycopg import errors

from bubble_sync.database.polling import poll
from bubble_sync.local.addresses import Addresses


class Recorder(BaseHTTPRequestHandler):
    """Answers by the path, and keeps what came."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.received.append((self.command, self.path, list(self.headers.items()), body))
        name = self.path.split("?")[0].strip("/")
        if name == "hang":
            self.server.release.wait(20)
        if name == "silent":
            self.close_connection = True
            return
        if name == "moved":
            self.send_response(302)
            self.send_header("Location", "/200")
        else:
            self.send_response(int(name) if name.isdigit() else 200)
        content = b"" if name in ("moved", "204", "empty") else b"answer"
        self.send_header("Content-Type", "text/plain")
        self.send_header("X-Two", "first")
        self.send_header("X-Two", "second")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, *_):
        pass


class ManyAtOnce(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512


@pytest.fixture
def server():
    with ManyAtOnce(("127.0.0.1", 0), Recorder) as listening:
        listening.received, listening.release = [], threading.Event()
        listening.url = f"http://127.0.0.1:{listening.server_port}"
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield listening
        listening.release.set()
        listening.shutdown()
        thread.join()


@pytest.fixture
def net(database: Addresses):
    with psycopg.connect(database.database_url, autocommit=True) as connection:
        connection.execute("create extension pg_net schema extensions")
        connection.execute("set statement_timeout = '30s'")
        yield connection


def collect(net, request):
    row = net.execute("select (net._http_collect_response(%s, async := false)).*", (request,)).fetchone()
    assert row is not None
    return net.execute(
        "select status_code, content_type, headers, content, timed_out, error_msg from net._http_response"
        " where id = %s",
        (request,),
    ).fetchone()


def post(net, url, **arguments):
    named = "".join(f", {name} := %({name})s" for name in arguments)
    values = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in arguments.items()}
    return net.execute(f"select net.http_post(%(url)s{named})", {"url": url, **values}).fetchone()[0]


@pytest.mark.parametrize("status", [200, 401, 404, 500])
def test_every_http_status_is_an_answer(net, server, status):
    request = post(net, f"{server.url}/{status}")
    code, kind, headers, content, timed_out, error = collect(net, request)
    assert (code, kind, content, timed_out, error) == (status, "text/plain", "answer", False, None)
    assert headers["X-Two"] == "second"


def test_an_empty_answer_has_null_content(net, server):
    assert collect(net, post(net, f"{server.url}/empty"))[3] is None


def test_the_body_arrives_byte_for_byte_with_the_exact_content_type(net, server):
    collect(net, post(net, server.url, body={"b": 1, "a": ["ž", None]}))
    method, path, headers, body = server.received[0]
    assert (method, path) == ("POST", "/")
    assert body == net.execute('select convert_to(\'{"b": 1, "a": ["ž", null]}\'::jsonb::text, \'UTF8\')').fetchone()[0]
    sent = {name.lower(): value for name, value in headers}
    assert sent["content-type"] == "application/json"
    assert sent["user-agent"] == "pg_net/0.20.4-standin"
    assert sent.keys() <= {"host", "accept", "user-agent", "content-type", "content-length"}


def test_a_header_whose_value_is_null_is_dropped_and_the_rest_is_sent(net, server):
    collect(net, post(net, server.url, headers={"Authorization": None, "X-Kept": "yes"}))
    sent = dict(server.received[0][2])
    assert "Authorization" not in sent
    assert sent["X-Kept"] == "yes"
    assert sent["Content-Type"] == "application/json"


@pytest.mark.parametrize("name", ["Content-Type", "content-type", "CONTENT-TYPE"])
def test_a_content_type_in_any_case_must_be_json_exactly(net, server, name):
    collect(net, post(net, server.url, headers={name: "application/json"}))
    with pytest.raises(errors.RaiseException, match='Content-Type header must be "application/json"'):
        post(net, server.url, headers={name: "application/json; charset=utf-8"})


def test_a_url_without_a_scheme_is_refused(net):
    with pytest.raises(errors.InternalError_, match=r'invalid URL "example\.test/path": Bad scheme'):
        post(net, "example.test/path")


def test_another_scheme_is_queued_and_answered_with_an_error(net):
    assert "Unsupported protocol" in str(collect(net, post(net, "ftp://host/")))


@pytest.mark.parametrize(
    "url", ["/relative", "", "http://ho st/", "http://", "http://host:port/", "http://host:99999/"]
)
def test_what_is_no_url_is_refused(net, url):
    with pytest.raises(errors.InternalError_, match=f'invalid URL "{url}"'):
        post(net, url)


def test_a_null_url_is_refused_with_the_whole_row_in_the_detail(net):
    with pytest.raises(errors.NotNullViolation, match='null value in column "url"') as refused:
        post(net, None, headers={"apikey": "canary"})
    assert "canary" in refused.value.diag.message_detail


def test_parameters_are_encoded_and_appended(net, server):
    request = net.execute('select net.http_get(%s, \'{"a b": "ž!"}\')', (f"{server.url}?x=1",)).fetchone()[0]
    collect(net, request)
    assert server.received[0][1].lower() == "/?x=1&a%20b=%c5%be%21"


def test_delete_can_have_a_body(net, server):
    collect(net, net.execute("select net.http_delete(%s, body := '{\"a\": 1}')", (server.url,)).fetchone()[0])
    assert server.received[0][0::3] == ("DELETE", b'{"a": 1}')


def test_a_redirect_is_followed(net, server):
    assert collect(net, post(net, f"{server.url}/moved"))[0] == 200


def test_a_rolled_back_request_is_never_sent_and_burns_its_id(net, server):
    with net.transaction(force_rollback=True):
        burnt = post(net, f"{server.url}/rolled-back")
    request = post(net, f"{server.url}/committed")
    collect(net, request)
    assert request == burnt + 1
    assert [path for _, path, _, _ in server.received] == ["/committed"]


def test_a_row_inserted_by_hand_waits_for_the_next_wake(net, server):
    net.execute(
        "insert into net.http_request_queue (method, url, timeout_milliseconds) values ('GET', %s, 1000)",
        (f"{server.url}/by-hand",),
    )
    collect(net, post(net, f"{server.url}/woken"))
    assert sorted(path for _, path, _, _ in server.received) == ["/by-hand", "/woken"]


def test_a_request_under_way_stays_visible_in_the_queue(net, server):
    request = post(net, f"{server.url}/hang")
    assert net.execute("select id from net.http_request_queue").fetchall() == [(request,)]
    server.release.set()
    assert collect(net, request)[0] == 200
    assert net.execute("select count(*) from net.http_request_queue").fetchone() == (0,)


def test_a_timeout_is_told_with_its_bound(net, server):
    code, _, _, content, timed_out, error = collect(net, post(net, f"{server.url}/hang", timeout_milliseconds=100))
    assert (code, content, timed_out) == (None, None, True)
    assert error.startswith("Timeout of 100 ms reached. Total time: ")


def test_failures_are_told_in_curls_words(net, server):
    with closing(socket.socket()) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        refused = collect(net, post(net, f"http://127.0.0.1:{port}/"))
    assert refused == (None, None, None, None, False, "Couldn't connect to server")
    silent = collect(net, post(net, f"{server.url}/silent"))
    assert silent[5] == "Server returned nothing (no headers, no data)"
    unknown = collect(net, post(net, "http://nowhere.invalid/"))
    assert unknown[5] == "Couldn't resolve host name"


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/", "http://xn--/", "nonsense"])
def test_a_row_that_cannot_be_sent_is_answered_with_an_error_and_the_next_is_sent(net, server, url):
    net.execute(
        "insert into net.http_request_queue (method, url, headers, timeout_milliseconds)"
        " values ('POST', %s, '{\"\u00e9\": \"x\"}', 1000)",
        (url,),
    )
    assert collect(net, post(net, server.url))[0] == 200
    assert net.execute("select count(*) from net._http_response where error_msg is not null").fetchone() == (1,)


def test_five_hundred_requests_of_one_transaction_are_all_answered(net, server):
    net.execute("select net.http_get(%s || '/n' || n) from generate_series(1, 500) as n", (server.url,))
    (last,) = net.execute("select max(id) from net.http_request_queue").fetchone()
    collect(net, last)
    assert net.execute("select count(*), count(error_msg) from net._http_response").fetchone() == (500, 0)


@pytest.mark.parametrize("table", ["http_request_queue", "_http_response"])
def test_the_worker_waits_for_no_lock_but_looks_again(net, server, database, table):
    """Who drops the extension locks one table after the other: a worker that waited would be half of a deadlock."""
    worker = (
        "select query_start > %s and (state = 'idle' or wait_event_type = 'Lock'), state from pg_stat_activity"
        " where application_name = 'pg_net emulator'"
    )
    with psycopg.connect(database.database_url) as other:
        insert = "insert into net.http_request_queue (method, url, timeout_milliseconds) values ('GET', %s, 1000)"
        (request,) = other.execute(f"{insert} returning id", (server.url,)).fetchone()
        other.execute(f"lock table net.{table}")
        (before,) = net.execute("select clock_timestamp()").fetchone()
        net.execute("notify pg_net_wake")
        seen = poll(lambda: net.execute(worker, (before,)).fetchone(), lambda row: row[0], 10)
        assert seen == (True, "idle")
    assert collect(net, request)[0] == 200


def test_expired_answers_go_when_the_worker_is_awake(net, server):
    net.execute("insert into net._http_response (id, created) values (-1, now() - interval '7 hours')")
    collect(net, post(net, server.url))
    assert net.execute("select count(*) from net._http_response where id < 0").fetchone() == (0,)


def test_the_worker_answers_truly_and_comes_back_after_a_restart(net, server):
    net.execute("select net.check_worker_is_up()")
    hanging = post(net, f"{server.url}/hang")
    assert net.execute("select net.worker_restart()").fetchone() == (True,)
    server.release.set()
    net.execute("select net.wait_until_running()")
    assert collect(net, hanging)[0] == 200


def test_without_a_worker_the_check_fails_and_rows_wait(net, server, platform):
    platform.net_worker.stop()
    with pytest.raises(errors.RaiseException, match="the pg_net background worker is not up"):
        net.execute("select net.check_worker_is_up()")
    request = post(net, server.url)
    platform.start()
    assert collect(net, request)[0] == 200


def test_the_tables_are_unlogged_with_the_documented_columns(net):
    rows = net.execute(
        "select c.relname, c.relpersistence::text, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull"
        " from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0"
        " where c.relnamespace = 'net'::regnamespace and c.relkind = 'r' order by c.relname, a.attnum"
    ).fetchall()
    assert {row[1] for row in rows} == {"u"}
    assert [row[2:] for row in rows if row[0] == "http_request_queue"] == [
        ("id", "bigint", True),
        ("method", "net.http_method", True),
        ("url", "text", True),
        ("headers", "jsonb", False),
        ("body", "bytea", False),
        ("timeout_milliseconds", "integer", True),
    ]
    assert [row[2:] for row in rows if row[0] == "_http_response"] == [
        ("id", "bigint", False),
        ("status_code", "integer", False),
        ("content_type", "text", False),
        ("headers", "jsonb", False),
        ("content", "text", False),
        ("timed_out", "boolean", False),
        ("error_msg", "text", False),
        ("created", "timestamp with time zone", True),
    ]
