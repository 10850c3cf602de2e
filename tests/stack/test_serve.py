"""`bubble-sync serve` as a person uses it: in a browser, with the keyboard, while the server comes and goes."""

from __future__ import annotations

import signal

from bubble_sync.config.stacks import CONFIG_VARIABLE
from bubble_sync.local.stack import DATABASE_URL_VARIABLE
from tests.fixtures.browser import Browser
from tests.fixtures.history import PROCESSOR, RETRY, dispatch, item, person, run
from tests.fixtures.live_page import serving
from tests.fixtures.proxy import Proxy
from tests.fixtures.site import Site
from tests.fixtures.stack import Stack


def test_it_follows_the_stack_keeps_the_readers_place_and_outlives_the_server(
    converged: Stack, site: Site, proxy: Proxy, browser: Browser
):
    run(site, 1, RETRY, "40 s")
    run(site, 2, PROCESSOR, "30 s")
    dispatch(site, 7, "30 s", "ok", status_code=200, processed=1, failed=0)
    person(site, "r7", "ada@example.com", bubble_ids=False)
    taken = {"status": "failed", "error_message": "ada@example.com is taken", "retry_count": 3}
    failed = item(site, "10 min", record_id="r7", **taken)
    given = {CONFIG_VARIABLE: converged.given()[CONFIG_VARIABLE]}
    given[DATABASE_URL_VARIABLE] = proxy.url(site.addresses.database_url)
    with serving(converged, **given) as (process, address):
        browser.open(address)
        assert browser.requests == [address]
        assert "Last read at" in browser.run("document.getElementById('reading').textContent")
        assert "1 dead: failed, with no attempt left" in text(browser)
        assert "--stack local" in browser.run("document.querySelector('.command').textContent")
        keeps_the_readers_place(site, browser)
        assert browser.complaints == []
        shows_the_outage(proxy, browser)
        finds(failed, browser)
        shows_an_item_until_it_goes(failed, site, proxy, browser)

        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
        browser.wait_for("document.getElementById('outage').textContent.includes('has not answered since')")
        assert process.stderr is not None
        assert process.stderr.read() == "Ctrl-C ends it. Every user of this machine can open the page.\n"


def text(browser: Browser) -> str:
    return str(browser.run("document.querySelector('main').textContent"))


def keeps_the_readers_place(site: Site, browser: Browser) -> None:
    """Unfold a part with the keyboard, scroll, and let an item fail."""
    browser.run("document.querySelector('#failures').closest('section').querySelector('summary').focus()")
    browser.press("Enter")
    browser.run("scrollTo(0, 300)")
    item(site, "5 s", record_id="r8", status="failed", error_message="another", retry_count=3)
    browser.wait_for("document.body.textContent.includes('2 dead: failed')")

    assert browser.run("document.activeElement.closest('details').open")
    assert browser.run("document.activeElement.nodeName") == "SUMMARY"
    assert browser.run("scrollY") >= 300, "the browser anchors the page at what is in sight"


def shows_the_outage(proxy: Proxy, browser: Browser) -> None:
    """Cut the database off, and let it come back."""
    proxy.cut()
    browser.wait_for("document.getElementById('outage').textContent.includes('No data from the database since ')")
    assert "2 dead: failed" in text(browser), "the last data stays"
    assert browser.count("#outage[role=alert] time") == 1
    proxy.mend()
    browser.wait_for("document.getElementById('outage').textContent === ''")


def finds(failed: str, browser: Browser) -> None:
    """Search for an email with the keyboard: the item's address has no email."""
    browser.run("document.getElementById('search').focus()")
    browser.ask("Input.insertText", text="ada@example.com")
    browser.events.clear()
    browser.press("Enter")
    browser.wait_for_load()
    assert browser.run("location.pathname + location.search") == f"/items/{failed}"
    assert browser.names("heading") == [f"Item {failed}", "Steps", "Ids in Bubble"]
    assert "Report of stack local" in browser.names("link")
    assert browser.names("searchbox") == ["Item, record or email"]
    assert "[email] is taken" in text(browser)
    assert browser.run("document.querySelector('.command').textContent").endswith(f" {failed}")


def shows_an_item_until_it_goes(failed: str, site: Site, proxy: Proxy, browser: Browser) -> None:
    """Cut the database off while the item's page alone is open, and delete the item."""
    proxy.cut()
    browser.wait_for("document.getElementById('outage').textContent.includes('No data from the database since ')")
    proxy.mend()
    browser.wait_for("document.getElementById('outage').textContent === ''")
    site.by_hand(f"delete from public.sync_queue where id::text = '{failed}'")
    browser.wait_for("document.getElementById('outage').textContent.startsWith('Not found: no item of ')")
    assert browser.names("heading")[0] == f"Item {failed}", "the last data stays"


def test_it_ends_on_ctrl_c_and_a_port_in_use_or_no_database_is_one_line(converged: Stack):
    with serving(converged) as (process, address):
        port = address.rstrip("/").rpartition(":")[2]
        busy = converged.ours("serve", "--port", port)
        assert (busy.returncode, busy.stdout) == (2, "")
        assert busy.stderr.startswith(f"error: port {port} of 127.0.0.1 is in use: ")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0

    nowhere = {DATABASE_URL_VARIABLE: "postgresql://postgres:p@127.0.0.1:1/postgres"}
    done = converged.ours("serve", "--port", "0", **nowhere)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("error: cannot connect to the database")
    assert converged.ours("serve", "--port", "70000").returncode == 2


def test_it_serves_a_stack_by_its_database_url_alone(converged: Stack, browser: Browser):
    with serving(converged, alone=True) as (_, address):
        browser.open(address)

        assert browser.names("heading")[0] == "Stack local"
        assert browser.complaints == []
