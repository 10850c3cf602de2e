"""Every rule of the configuration: what is taken, what is refused, and what the refusal says."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bubble_sync.config.database_url import read_database_url
from bubble_sync.config.settings import SECRET_KEYS, ConfigValue, Settings, StackSettings, read_settings
from bubble_sync.errors import ConfigurationError, WrongEnvironment
from tests.fixtures.specs import OTHER_REF, REF, config, jwt


def refusal(**changes: str | None) -> str:
    with pytest.raises(ConfigurationError) as refused:
        read_settings(config(**changes))
    return str(refused.value)


def test_a_minimal_configuration_gets_the_numbers_of_the_guide():
    settings = read_settings(config())

    assert settings.url == f"https://{REF}.supabase.co"
    assert (settings.processor.schedule, settings.retry.schedule) == ("* * * * *", "*/5 * * * *")
    assert (settings.processor.max_items, settings.processor.batch_size, settings.processor.timeout_ms) == (
        10,
        5,
        30000,
    )
    assert settings.processor.active
    assert settings.retry.active
    assert not settings.processor.overlap_guard
    assert (settings.supabase_url_name, settings.service_role_key_name) == ("supabase_url", "service_role_key")


def test_jobs_are_set_as_objects_and_numbers_may_come_as_floats():
    settings = read_settings(config(processor='{"maxItems": 20.0, "active": false}', retry='{"schedule": "0 * * * *"}'))

    assert settings.processor.max_items == 20
    assert not settings.processor.active
    assert settings.retry.schedule == "0 * * * *"


@pytest.mark.parametrize(
    ("job", "guarded"),
    [
        ('{"schedule": "59 seconds"}', True),
        ('{"schedule": "5 seconds", "overlapGuard": false}', False),
        ('{"schedule": "* * * * *"}', False),
        ('{"schedule": "* * * * *", "overlapGuard": true}', True),
    ],
)
def test_the_overlap_guard_is_on_by_default_below_a_minute(job: str, guarded: bool):
    settings = read_settings(config(processor=job, retry=job))

    assert (settings.processor.overlap_guard, settings.retry.overlap_guard) == (guarded, guarded)


@pytest.mark.parametrize(
    ("reason", "until", "read"),
    [
        ('"the CRM moves"', '"2027-01-31T18:00:00Z"', "the CRM moves"),
        # What Pulumi makes of `2026` after `config set --path`, and of a moment without quotes in the file.
        ("2026", '"2027-01-31 20:00:00 +0200 CEST"', "2026"),
        ("true", '"2027-01-31T18:00:00+00:00"', "true"),
    ],
)
def test_a_pause_has_a_reason_and_an_end(reason: str, until: str, read: str):
    paused = f'{{"active": false, "pauseReason": {reason}, "pauseUntil": {until}}}'
    job = read_settings(config(processor=paused)).processor

    assert (job.pause_reason, job.pause_until) == (read, datetime(2027, 1, 31, 18, tzinfo=UTC))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"pauseReason": "why"}, "processor.pauseReason: is set, and active is not false: remove it, or"),
        ({"active": True, "pauseUntil": "2027-01-31T18:00:00Z"}, "processor.pauseUntil: is set, and active is not"),
        ({"active": False, "pauseReason": "one\ntwo"}, "processor.pauseReason: is not one line"),
        ({"active": False, "pauseReason": "sb_secret_abc"}, "processor.pauseReason: looks like it contains a key"),
        ({"active": False, "pauseReason": "w" * 201}, "processor.pauseReason: is not one line of at most 200"),
        ({"active": False, "pauseUntil": "2027-01-31T18:00:00"}, "processor.pauseUntil: '2027-01-31T18:00:00' is not"),
        ({"active": False, "pauseUntil": "tomorrow"}, "processor.pauseUntil: 'tomorrow' is not a time with a zone"),
        ({"active": False, "pauseUntil": "9999-12-31T23:59:59-10:00"}, "is not a time with a zone"),
        ({"active": False, "pauseUntil": 1_800_000_000}, "processor.pauseUntil: '1800000000' is not a time"),
        ({"active": False, "pauseUntil": None}, "processor.pauseUntil: 'null' is not a time"),
    ],
)
def test_a_pause_that_says_nothing_certain_is_refused(written: dict[str, object], said: str):
    assert said in refusal(processor=json.dumps(written))


def test_all_problems_are_reported_at_once():
    message = refusal(projectRef="NO", adopt="maybe", nonsense="1", processor='{"timeoutMs": 0, "sizes": 1}')

    for key in ("projectRef", "adopt", "nonsense", "processor.timeoutMs", "processor.sizes"):
        assert f"bubble-sync:{key}:" in message
    assert "nothing was changed" in message


@pytest.mark.parametrize("key", sorted(SECRET_KEYS))
def test_a_plaintext_secret_is_refused_with_the_line_that_encrypts_it(key):
    values = {"serviceRoleKey": jwt(), "databaseUrl": "postgresql://u:hunter2@localhost/db"}
    value = values.get(key, "hunter2-hunter2-hunter2")
    given = config(databaseUrlEnv=None if key == "databaseUrl" else "X", **{key: value})

    with pytest.raises(ConfigurationError) as refused:
        read_settings({**given, key: ConfigValue(value, secret=False)})

    assert f"pulumi config set --secret bubble-sync:{key}" in str(refused.value)
    assert value not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.com", "https"),
        ("https://example.com/functions", "more than scheme and host"),
        ("https://example.com?x=1", "more than scheme and host"),
        ("https://example.com#x", "more than scheme and host"),
        ("https://me:secret@example.com", "user or password"),
        ("ftp://example.com", "not a URL"),
        ("example.com", "not a URL"),
        ("https://exa mple.com", "not a URL"),
        ("https://example.com:99999", "not a URL"),
        ("https://example.com\n", "not a URL"),
        ("HTTPS://example.com", "not a URL"),
        ("https://example.com:", "not a URL"),
        ("https://@example.com", "not a URL"),
        ("http://LOCALHOST:3", "not a URL"),
        ("", "not a URL"),
    ],
)
def test_a_url_that_could_leak_the_key_or_miss_the_function_is_refused(url, reason):
    message = refusal(projectRef=None, supabaseUrl=url)

    assert "bubble-sync:supabaseUrl:" in message
    assert reason in message
    assert "secret@" not in message


class TestAllowHttp:
    """http for private hosts, on request; never for public ones."""

    PRIVATE = ("http://kong:8000", "http://host.docker.internal:54321/", "http://192.168.1.4", "http://[fd00::7]:8000")
    PUBLIC = ("http://example.com", "http://8.8.8.8:8000", "http://134744072", "http://kong.internal.example.com")
    WEBHOOK = "http://mailpit:8025/services/hunter2"

    @pytest.mark.parametrize("url", PRIVATE)
    def test_a_private_host_is_taken_with_it_and_refused_without_in_a_line_that_names_the_key(self, url: str):
        said = refusal(projectRef=None, supabaseUrl=url)

        assert f"{url!r} would send the key in clear text; use https, or set allowHttp" in said
        taken = read_settings(config(projectRef=None, supabaseUrl=url, allowHttp="true"))
        assert taken.url == url.rstrip("/")

    @pytest.mark.parametrize("url", PUBLIC)
    def test_a_public_host_is_refused_with_it_too(self, url: str):
        said = refusal(projectRef=None, supabaseUrl=url, allowHttp="true")

        assert said.splitlines()[1:] == [
            f"  - bubble-sync:supabaseUrl: {url!r} would send the key in clear text to a host that is not private; "
            "use https"
        ]

    def test_the_webhook_follows_the_same_rule_and_is_not_shown(self):
        said = refusal(alerts="{}", alertWebhookUrl=self.WEBHOOK)

        assert "bubble-sync:alertWebhookUrl: would be posted to in clear text; use https, or set allowHttp" in said
        assert "hunter2" not in said
        taken = read_settings(config(alerts="{}", alertWebhookUrl=self.WEBHOOK, allowHttp="true"))
        assert taken.alert_webhook_url == self.WEBHOOK
        public = self.WEBHOOK.replace("mailpit", "hooks.example.com")
        assert "is not the URL of a webhook" in refusal(alerts="{}", alertWebhookUrl=public, allowHttp="true")

    @pytest.mark.parametrize("value", ["kong", "2", "{}"])
    def test_a_value_that_is_no_boolean_is_refused_and_permits_nothing(self, value: str):
        said = refusal(projectRef=None, supabaseUrl="http://kong:8000", allowHttp=value)

        assert "bubble-sync:allowHttp: " in said
        assert "bubble-sync:supabaseUrl: 'http://kong:8000' would send the key in clear text" in said

    def test_a_private_host_names_no_project_and_the_guard_still_compares_the_others(self):
        local = {"supabaseUrl": "http://kong:8000", "allowHttp": "true"}

        assert read_settings(config(**local)).project({}) == REF
        assert read_settings(config(**local, projectRef=None, serviceRoleKey=jwt(ref=None))).project({}) is None
        with pytest.raises(WrongEnvironment, match=OTHER_REF):
            read_settings(config(**local, serviceRoleKey=jwt(ref=OTHER_REF))).project({})


@pytest.mark.parametrize("url", ["https://api.example.com", "http://127.0.0.1:54321", "http://localhost:8000/"])
def test_a_custom_domain_and_a_loopback_address_are_taken(url):
    assert read_settings(config(projectRef=None, supabaseUrl=url)).url == url.rstrip("/")


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "empty"),
        ("two words", "white space"),
        ("trailing\n", "white space"),
        ("sb_publishable_abc", "publishable"),
        (jwt(role="anon"), "'anon'"),
        (jwt(role="authenticated"), "'authenticated'"),
    ],
)
def test_a_key_that_may_not_call_the_function_is_refused_and_not_shown(key, reason):
    message = refusal(serviceRoleKey=key)

    assert "bubble-sync:serviceRoleKey:" in message
    assert reason in message
    assert not key or key not in message


@pytest.mark.parametrize("key", [jwt(), "sb_secret_abc", "an-opaque-key"])
def test_a_service_key_of_any_shape_is_taken_as_it_is(key):
    assert read_settings(config(serviceRoleKey=key)).service_role_key == key


@pytest.mark.parametrize("timeout", [0, -1, 120_001, 1.5])
def test_a_timeout_outside_1_to_120000_is_refused_with_its_value(timeout):
    message = refusal(retry=f'{{"timeoutMs": {timeout}}}')

    assert "bubble-sync:retry.timeoutMs:" in message
    assert str(timeout) in message


@pytest.mark.parametrize(
    "schedule",
    ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "*/0 * * * *", "@hourly", "* *  * * *",
     "* * L * *", "a * * * *", "5/15 * * * *", "* * * * 5/2", "* * * * *\n",
     "0 seconds", "60 seconds", "05 seconds", "1 second", "5 Seconds", "5  seconds"],
)  # fmt: skip
def test_a_schedule_of_the_wrong_shape_is_refused(schedule):
    escaped = schedule.replace("\n", "\\n")
    assert "bubble-sync:processor.schedule:" in refusal(processor=f'{{"schedule": "{escaped}"}}')


@pytest.mark.parametrize(
    "schedule", ["*/2 * * * *", "0,30 1-5 * jan mon-fri", "5-59/10 * 1 1 7", "1 seconds", "59 seconds"]
)
def test_a_schedule_of_five_cron_fields_or_of_seconds_is_taken(schedule):
    assert read_settings(config(processor=f'{{"schedule": "{schedule}"}}')).processor.schedule == schedule


def test_one_of_project_and_url_and_one_of_the_database_keys_must_be_set():
    message = refusal(projectRef=None, databaseUrlEnv=None)

    assert "bubble-sync:projectRef: not set" in message
    assert "bubble-sync:databaseUrlEnv: not set" in message
    both = refusal(databaseUrl="postgresql://u:p@localhost/db")
    assert "conflicts with databaseUrlEnv" in both


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:p#w@host/db", "mysql://u:p@host/db", "host=x password=hunter2", "postgresql://host/db",
     "postgresql://u:hunter2@host:port/db", "postgresql://u:hunter2@host/db?sslmode=disable",
     "postgresql://u:hunter2@evil.example.com:1,@localhost/db", "postgresql://u:hun@ter2@host/db",
     "postgresql://u:hunter2%@host/db", "postgresql://u:hunter2@a,b/db",
     "postgresql://u:hunter2@localhost/db?host=evil.example.com", "postgresql://u:hunter2@host/db?user=other",
     "postgresql://u:hunter2@host/db?sslmode=verify-full&sslmode=disable"],
)  # fmt: skip
def test_a_database_url_that_cannot_be_used_is_refused_and_not_shown(url):
    message = refusal(databaseUrlEnv=None, databaseUrl=url)

    assert "bubble-sync:databaseUrl:" in message
    assert "hunter2" not in message


def test_an_unset_environment_variable_is_named_with_the_line_that_sets_it():
    settings = read_settings(config())

    with pytest.raises(ConfigurationError, match="`read -rs TEST_DATABASE_URL && export TEST_DATABASE_URL`"):
        settings.address({})


def test_loopback_is_where_the_address_is_too():
    assert read_database_url("postgresql://u:p@localhost/db?hostaddr=127.0.0.1").loopback
    assert not read_database_url("postgresql://u:p@localhost/db?hostaddr=192.0.2.1").loopback
    assert read_database_url("postgresql://u:p@/db?host=/tmp").loopback
    assert read_database_url(f"postgresql://u:p@/db?host=/{'x' * 90}").loopback


@pytest.mark.parametrize("host", ["db..supabase.co", f"{'x' * 64}.example.com", ".example.com"])
def test_a_host_that_cannot_exist_is_refused_without_the_url(host: str):
    with pytest.raises(ValueError, match="names a host that cannot exist") as refused:
        read_database_url(f"postgresql://u:hunter2@{host}/db")

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("host", ["db.example.com.", "b\u00fccher.example", "[::1]", "under_score.example"])
def test_a_host_that_may_exist_is_taken(host: str):
    assert read_database_url(f"postgresql://u:p@{host}/db").host == host.strip("[]")


def test_a_url_in_the_place_of_a_variable_name_is_not_shown():
    message = refusal(databaseUrlEnv="postgresql://u:hunter2@host/db")

    assert "bubble-sync:databaseUrlEnv: is not the name of an environment variable" in message
    assert "hunter2" not in message


def test_two_secrets_cannot_share_a_name():
    assert "also supabaseUrlName" in refusal(supabaseUrlName="one", serviceRoleKeyName="one")


@given(st.text())
def test_no_text_as_key_gets_a_traceback_or_is_echoed(key):
    canary = f"{key}-canary-{key}"
    try:
        said = read_settings(config(serviceRoleKey=canary)).service_role_key
    except ConfigurationError as refused:
        said = str(refused).replace("canary", "") if canary not in str(refused) else ""
    assert said


class TestWrongEnvironment:
    """The parts of one stack must name one project."""

    @pytest.mark.parametrize(
        ("changes", "database_url", "parts"),
        [
            ({"supabaseUrl": f"https://{OTHER_REF}.supabase.co"}, None, ("projectRef", "supabaseUrl")),
            ({"serviceRoleKey": jwt(ref=OTHER_REF)}, None, ("projectRef", "serviceRoleKey")),
            ({}, f"postgresql://postgres:p@db.{OTHER_REF}.supabase.co/postgres", ("projectRef", "database URL")),
            ({}, f"postgresql://postgres.{OTHER_REF}:p@aws-0-x.pooler.supabase.com/postgres", ("projectRef",)),
        ],
    )
    def test_a_part_of_another_project_is_refused_with_both_names(self, changes, database_url, parts):
        settings = read_settings(config(**changes))

        with pytest.raises(WrongEnvironment) as refused:
            settings.project({"TEST_DATABASE_URL": database_url} if database_url else {})

        for text in (*parts, REF, OTHER_REF):
            assert text in str(refused.value)

    @pytest.mark.parametrize("key", ["sb_secret_abc", "opaque", jwt(ref=None)])
    def test_what_carries_no_ref_is_unknown_and_never_a_mismatch(self, key):
        settings = read_settings(config(projectRef=None, supabaseUrl="https://api.example.com", serviceRoleKey=key))

        assert settings.project({"TEST_DATABASE_URL": "postgresql://u:p@10.0.0.1/postgres"}) is None

    def test_any_one_part_is_enough_to_name_the_project(self):
        settings = read_settings(config(projectRef=None, supabaseUrl="https://api.example.com"))

        assert settings.project({}) == REF


def test_the_settings_print_no_secret():
    settings = read_settings(config(databaseUrlEnv=None, databaseUrl="postgresql://u:hunter2@localhost/db"))

    assert "hunter2" not in repr(settings)
    assert jwt() not in repr(settings)
    assert "hunter2" not in repr(settings.address({}))


def test_every_key_says_what_it_is_for():
    assert all(
        field.description or (isinstance(field.annotation, type) and issubclass(field.annotation, Settings))
        for field in StackSettings.model_fields.values()
    )


class TestAccess:
    """The role that may observe and nothing else."""

    PASSWORD = "long-enough-for-the-internet"

    def test_there_is_none_unless_it_is_named(self):
        assert read_settings(config()).access.monitor_role == ""

    def test_it_has_a_name_and_a_password(self):
        settings = read_settings(config(access='{"monitorRole": "bubble_monitor"}', monitorPassword=self.PASSWORD))

        assert (settings.access.monitor_role, settings.monitor_password) == ("bubble_monitor", self.PASSWORD)

    def test_a_role_without_a_password_is_refused_with_the_line_that_sets_it(self):
        assert "pulumi config set --secret bubble-sync:monitorPassword" in refusal(access='{"monitorRole": "m"}')

    @pytest.mark.parametrize("name", ["public", "pg_read_all_data", "Mixed", "with space", "1st", "a" * 64, 'q"'])
    def test_a_name_that_cannot_be_a_role_of_ours_is_refused(self, name: str):
        said = refusal(access=json.dumps({"monitorRole": name}), monitorPassword=self.PASSWORD)

        assert "access.monitorRole" in said
        assert "cannot name a role" in said

    @pytest.mark.parametrize("password", ["short", "with a space in it, long enough", "löng-enough-but-no-ascii"])
    def test_a_password_that_is_weak_or_may_be_read_in_two_ways_is_refused_and_not_shown(self, password: str):
        said = refusal(access='{"monitorRole": "m"}', monitorPassword=password)

        assert "bubble-sync:monitorPassword: is not 16 or more printable" in said
        assert password not in said

    def test_a_password_inside_the_object_is_no_key(self):
        said = refusal(access='{"monitorRole": "m", "password": "x"}', monitorPassword=self.PASSWORD)

        assert "access.password: there is no such key" in said


class TestAlerts:
    """Numbers in one object, and the webhook beside it."""

    WEBHOOK = "https://hooks.slack.com/services/T000/B000/hunter2"

    def test_alerts_are_there_with_a_webhook_and_have_numbers_of_their_own(self):
        settings = read_settings(
            config(alerts='{"dailyReportAt": "21:30", "cooldownMinutes": 5}', alertWebhookUrl=self.WEBHOOK)
        )

        assert settings.alert_webhook_url == self.WEBHOOK
        assert (settings.alerts.daily_report_at, settings.alerts.cooldown_minutes) == ("21:30", 5)
        assert settings.alerts.new_failures == 1

    def test_without_them_there_is_no_webhook(self):
        assert read_settings(config()).alert_webhook_url is None

    def test_each_needs_the_other(self):
        assert "pulumi config set --secret bubble-sync:alertWebhookUrl" in refusal(alerts="{}")
        said = refusal(alertWebhookUrl=self.WEBHOOK)
        assert "bubble-sync:alerts: not set, but alertWebhookUrl is; pulumi config set --path" in said

    @pytest.mark.parametrize(
        "url",
        [
            "http://hooks.slack.com/services/hunter2",
            "https://hooks.slack.com",
            "https://user:hunter2@hooks.slack.com/services/x",
            "https://hooks.slack.com/services/hunter2\n",
            "https://hooks.slack.com/services/hunter2 ",
            "https://hooks.slack.com/services/hunter2#x",
            "ftp://hooks.slack.com/services/hunter2",
            "hunter2",
            "",
        ],
    )
    def test_a_webhook_that_is_none_is_refused_and_not_shown(self, url: str):
        said = refusal(alerts="{}", alertWebhookUrl=url)

        assert "bubble-sync:alertWebhookUrl: is not the URL of a webhook" in said
        assert "hunter2" not in said

    @pytest.mark.parametrize(
        "url", ["http://127.0.0.1:8080/x", "https://discord.com/api/webhooks/1/a-b_c/slack?wait=true"]
    )
    def test_a_webhook_of_another_service_or_of_this_machine_is_taken(self, url: str):
        assert read_settings(config(alerts="{}", alertWebhookUrl=url)).alert_webhook_url == url

    DESTINATIONS = (
        ("alertWebhookUrl", WEBHOOK),
        ("alertHeartbeatUrl", "https://hc-ping.com/hunter2"),
        ("alertPagerDutyRoutingKey", "hunter2".ljust(32, "0")),
        ("alertOpsgenieApiKey", "hunter2-faa2-4ba2-a551-q1bb6e3d28"),
    )

    @pytest.mark.parametrize(("name", "value"), DESTINATIONS)
    def test_any_destination_is_enough_and_needs_alerts(self, name: str, value: str):
        assert read_settings(config(alerts="{}", **{name: value})).alerting
        said = refusal(**{name: value})
        assert f"bubble-sync:alerts: not set, but {name} is; pulumi config set --path" in said
        assert "hunter2" not in said

    @pytest.mark.parametrize("name", [name for name, _ in DESTINATIONS])
    @pytest.mark.parametrize(
        "value", ["", "hunter2", "hunter2hunter2hunter2hunter2hunt\n", "https://a b/hunter2", "é" * 32]
    )
    def test_a_secret_of_another_shape_is_refused_and_not_shown(self, name: str, value: str):
        said = refusal(alerts="{}", **{name: value})

        assert f"bubble-sync:{name}: is not " in said
        assert "hunter2" not in said

    def test_a_secret_in_clear_text_is_refused(self):
        for name, value in self.DESTINATIONS:
            given = {**config(alerts="{}"), name: ConfigValue(value, secret=False)}
            with pytest.raises(ConfigurationError, match=f"bubble-sync:{name}: stored in clear text"):
                read_settings(given)

    @pytest.mark.parametrize("name", ["pagerDutyUrl", "opsgenieUrl"])
    def test_the_address_of_an_api_is_a_base_url_that_protects_the_key(self, name: str):
        def given(url: str) -> dict[str, str]:
            return {"alerts": json.dumps({name: url}), "alertWebhookUrl": self.WEBHOOK}

        for url in (
            "https://api.eu.opsgenie.com",
            "https://api.atlassian.com/jsm/ops/integration/",
            "http://localhost:1",
        ):
            (read,) = {*read_settings(config(**given(url))).alerts.model_dump().values()} & {url.removesuffix("/")}
            assert read
        for url in (
            "http://api.opsgenie.com",
            "api.opsgenie.com",
            "https://a:b@c.com",
            "https://c.com?x=1",
            "https://c.com#x",
        ):
            assert f"{url!r} is not the base URL of an API" in refusal(**given(url))

    @pytest.mark.parametrize("time", ["7:00", "24:00", "07:60", "07:00:00", "noon", "07:00Z"])
    def test_a_time_that_is_none_is_refused(self, time: str):
        said = refusal(alerts=json.dumps({"dailyReportAt": time}), alertWebhookUrl=self.WEBHOOK)

        assert f"bubble-sync:alerts.dailyReportAt: {time!r} is not a time of the day" in said

    def test_the_name_of_their_secret_is_taken(self):
        said = refusal(serviceRoleKeyName="bubble_sync_alert_webhook_url")

        assert (
            "bubble-sync:serviceRoleKeyName: 'bubble_sync_alert_webhook_url' is the name of the alerts' webhook" in said
        )

    @pytest.mark.parametrize(("name", "value"), [("oldestMinutes", 0), ("growingTicks", 1), ("webhook", "x")])
    def test_a_number_out_of_its_range_and_an_unknown_key_are_refused(self, name: str, value: object):
        said = refusal(alerts=json.dumps({name: value}), alertWebhookUrl=self.WEBHOOK)

        assert f"bubble-sync:alerts.{name}: " in said


class TestHistory:
    """How long runs and requests stay."""

    def test_by_default_runs_stay_and_requests_go_after_thirty_days(self):
        history = read_settings(config()).history

        assert (history.keep_days, history.of_all_jobs, history.dispatch_days) == (None, False, 30)

    def test_days_and_all_jobs_are_taken(self):
        history = read_settings(config(history='{"keepDays": 3650, "ofAllJobs": true, "dispatchDays": 1}')).history

        assert (history.keep_days, history.of_all_jobs, history.dispatch_days) == (3650, True, 1)

    @pytest.mark.parametrize("key", ["keepDays", "dispatchDays"])
    @pytest.mark.parametrize("value", [0, -3, 3651, 10**9, 7.5, True, False, "", "week", "7 days", [7]])
    def test_what_is_no_number_of_days_is_refused_in_one_line(self, key: str, value: object):
        said = refusal(history=json.dumps({key: value}))

        (line,) = said.splitlines()[1:]
        assert line.startswith(f"  - bubble-sync:history.{key}: ")

    def test_all_jobs_without_days_are_refused(self):
        assert (
            "bubble-sync:history.ofAllJobs: is set, and history.keepDays is not: set keepDays, or remove ofAllJobs"
        ) in refusal(history='{"ofAllJobs": true}')

    def test_a_wrong_number_of_days_is_the_only_problem_that_is_named(self):
        assert len(refusal(history='{"keepDays": 0, "ofAllJobs": true}').splitlines()) == 2


@pytest.mark.parametrize("key", ["alerts", "adopt", "supabaseUrl", "processor"])
def test_what_somebody_has_encrypted_is_not_shown_whatever_it_is(key: str):
    text = "ftp://hooks.example.com/hush" if key != "processor" else '{"schedule": "hush"}'
    written = {**config(), key: ConfigValue(text, secret=True)}

    with pytest.raises(ConfigurationError, match=f"bubble-sync:{key}") as refused:
        read_settings(written)

    assert "hush" not in str(refused.value)
