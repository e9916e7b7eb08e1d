"""The viewer in a real browser, at a real `otelope up`."""

from __future__ import annotations

import json
import re

import pytest

from playwright.sync_api import expect

from otelope.model import semconv
from otelope.model.identity import identify, new_id
from tests.cli import story
from tests.collector.running import running
from tests.store.made import delivery_record, envelope_record, process_record, request
from tests.viewer.conftest import viewing


# One browser for all, by one worker.
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("viewer")]

CHARGE = f"{story.LINEAGE}-a000-000000000003"
TRACE = f"{identify(CHARGE).trace_id:032x}"


@pytest.fixture(scope="module")
def told(browser, tmp_path_factory):
    """A viewer of a store that holds one order."""
    with running(tmp_path_factory.mktemp("up")) as daemon, viewing(daemon, browser) as opened:
        opened.send(story.export_request(story.walk(story.order())))
        yield opened


def texts(found):
    """What people read, without the places where lines break."""
    return [" ".join(text.split()) for text in found.all_inner_texts()]


def rows(page):
    page.wait_for_selector("[role=treeitem]")
    return page.locator("[role=treeitem]")


def read(page):
    rows(page)
    return texts(page.locator(".what"))


def selected(page):
    return texts(page.locator("[role=treeitem][aria-selected=true] b"))


class TestEnvelopes:
    def test_the_newest_come_first(self, told):
        page = told.open()
        page.wait_for_selector("#envelopes tr")
        assert texts(page.locator("#envelopes tr")) == [
            "2026-11-23 14:03:08.369 PaymentCaptured (event) payments 2.1 payments.events",
            "2026-11-23 14:03:07.151 PaymentDeclined (event) payments 2.1 payments.events",
            "2026-11-23 14:03:07.142 ChargeCard command payments 2.1 payments.commands failed",
            "2026-11-23 14:03:07.139 customer.thanked mailer",
            "2026-11-23 14:03:07.134 OrderPlaced (event) orders 1.0 orders.events failed",
            "2026-11-23 14:03:07.120 PlaceOrder command shop 3.2 /orders",
        ]

    def test_filters(self, told):
        page = told.open()
        page.get_by_label("Source").fill("payments")
        page.get_by_label("Failed").check()
        page.get_by_role("button", name="Find").click()
        expect(page.locator("#envelopes tr")).to_have_count(1)
        assert texts(page.locator("#envelopes a")) == ["ChargeCard"]
        assert page.url.endswith("#/?source=payments&failed=1")
        # A link to a search says what is searched for.
        page.reload()
        page.wait_for_selector("#envelopes tr")
        assert page.get_by_label("Source").input_value() == "payments"
        assert page.get_by_label("Failed").is_checked()

    def test_what_nothing_is_like(self, told):
        page = told.open("?type=Nothing")
        page.get_by_text("No envelope is like that.").wait_for()

    def test_an_empty_store_says_what_to_do(self, viewer):
        page = viewer.open()
        page.get_by_text("No envelope is stored yet. Start a service").wait_for()

    def test_one_leads_to_its_chain(self, told):
        page = told.open()
        page.get_by_role("link", name="ChargeCard").click()
        rows(page)
        assert selected(page) == ["ChargeCard"]
        page.go_back()
        page.wait_for_selector("#envelopes tr")

    def test_more_than_fit_are_a_press_away(self, viewer):
        viewer.send(request(*(envelope_record(new_id(), at=n) for n in range(130))))
        page = viewer.open()
        page.wait_for_selector("#envelopes tr")
        assert page.locator("#envelopes tr").count() == 100
        page.get_by_role("link", name="More").click()
        expect(page.locator("#envelopes tr")).to_have_count(130)

    def test_following_shows_what_comes_and_what_fails(self, viewer):
        first, second = new_id(), new_id()
        viewer.send(request(envelope_record(first, type="PlaceOrder")))
        page = viewer.open()
        page.get_by_role("link", name="Follow").click()
        page.get_by_role("status").get_by_text("Following").wait_for()
        viewer.send(request(envelope_record(second, at=1, type="OrderPlaced")))
        page.get_by_role("link", name="OrderPlaced").wait_for()
        viewer.send(request(delivery_record(first, at=2, outcome="error")))
        page.locator(f'[data-id="{first}"]').get_by_text("failed").wait_for()
        assert texts(page.locator("#envelopes a")) == ["OrderPlaced", "PlaceOrder"]


class TestChain:
    def test_what_caused_what(self, told):
        page = told.open(f"tree/{CHARGE}")
        assert read(page) == [
            "▾ PlaceOrder command shop 3.2 → /orders",
            "▾ OrderPlaced (event) orders 1.0 → orders.events +14 ms",
            "· customer.thanked mailer +5 ms parent inferred",
            "▾ ChargeCard command payments 2.1 → payments.commands +8 ms",
            "· PaymentDeclined (event) payments 2.1 → payments.events +9 ms",
            "· PaymentCaptured (event) payments 2.1 → payments.events +1.23 s",
        ]
        levels = [row.get_attribute("aria-level") for row in rows(page).all()]
        assert levels == ["1", "2", "3", "3", "4", "4"]
        assert texts(page.locator(".summary")) == ["6 envelopes · 7 handlings · 1.3 s 2 failed"]

    def test_what_was_done(self, told):
        page = told.open(f"tree/{CHARGE}")
        rows(page)
        assert texts(page.locator(".done")) == [
            "✓ stored orders-db 1 ms ✓ orders 12 ms",
            "✗ stored orders-db Deadlock 1.5 ms ✓ outbox orders-outbox 0.25 ms ✓ mailer 5 ms ✓ payments 9 ms",  # noqa: E501 - as it is read
            "",
            "✗ payments CardDeclined 6.4 ms ✓ payments, attempt 2 22 ms",
            "✓ orders 2 ms",
            "? shipping 41 ms",
        ]

    def test_the_selected_one_is_told_whole(self, told):
        page = told.open(f"tree/{CHARGE}")
        page.wait_for_selector("pre.body")
        assert json.loads(page.locator("pre.body").inner_text()) == {
            "id": CHARGE,
            "type": "ChargeCard",
            "parentId": f"{story.LINEAGE}-a000-000000000002",
        }
        told_facts = dict(
            zip(texts(page.locator("dl dt")), texts(page.locator("dl dd")), strict=True)
        )
        assert told_facts == {
            "id": CHARGE,
            "parent": "OrderPlaced",
            "time": "2026-11-23T14:03:07.142Z",
            "since its parent": "8 ms",
            "source": "payments 2.1",
            "channel": "payments.commands",
            "trace": TRACE,
        }
        assert texts(page.locator(".story tbody tr")) == [
            "send payments 2.1 0 ms ok",
            "handling payments 2.1 3 ms 6.4 ms CardDeclined",
            "handling payments 2.1 1.21 s 22 ms ok, attempt 2",
        ]

    def test_another_is_selected_by_a_press_or_a_key(self, told):
        page = told.open(f"tree/{CHARGE}")
        rows(page).nth(1).click()
        assert selected(page) == ["OrderPlaced"]
        assert page.url.endswith("000000000002")
        for key, expected in (
            ("ArrowDown", "customer.thanked"),
            ("ArrowUp", "OrderPlaced"),
            ("End", "PaymentCaptured"),
            ("ArrowLeft", "ChargeCard"),
            ("Home", "PlaceOrder"),
            ("ArrowRight", "OrderPlaced"),
        ):
            page.locator("[role=treeitem][aria-selected=true]").press(key)
            assert selected(page) == [expected], key

    def test_what_one_caused_can_be_hidden(self, told):
        page = told.open(f"tree/{CHARGE}")
        row = page.locator("[role=treeitem][aria-selected=true]")
        row.press("ArrowLeft")
        assert rows(page).count() == 4
        assert row.get_attribute("aria-expanded") == "false"
        row.press("ArrowRight")
        assert rows(page).count() == 6
        row.locator(".toggle").click()
        assert rows(page).count() == 4

    @pytest.mark.parametrize(
        "name", [CHARGE[:30], f"{identify(CHARGE).trace_id:032x}", CHARGE.upper()]
    )
    def test_it_is_found_by_the_beginning_of_an_id_and_by_its_trace(self, told, name):
        page = told.open()
        page.get_by_role("searchbox").fill(f" {name} ")
        page.get_by_role("button", name="Open").click()
        assert len(read(page)) == 6

    def test_an_id_that_nobody_knows(self, told):
        page = told.open(f"tree/{new_id()}")
        page.get_by_text("Nothing is known of").wait_for()
        told.complaints[:] = [each for each in told.complaints if "404" not in each]

    def test_an_id_that_is_too_short(self, told):
        page = told.open("tree/8f")
        page.get_by_text("is too short").wait_for()
        told.complaints[:] = [each for each in told.complaints if "400" not in each]

    def test_an_id_that_may_mean_several_is_asked_back(self, viewer):
        ids = [f"order-{n}" for n in range(2)]
        viewer.send(request(*(envelope_record(each) for each in ids)))
        page = viewer.open("tree/order-")
        page.get_by_role("link", name="order-1").click()
        assert read(page) == ["· OrderPlaced (event) orders 1.0 → orders.events"]

    def test_a_parent_that_nobody_recorded_has_its_place(self, viewer):
        unknown = new_id()
        known = new_id(unknown)
        viewer.send(request(envelope_record(known, unknown)))
        page = viewer.open(f"tree/{known}")
        assert read(page)[0] == f"▾ not recorded {unknown}"
        rows(page).first.click()
        page.get_by_text("Whoever made it is not instrumented").wait_for()

    def test_a_wide_one_is_shown_in_parts_with_the_one_asked_for(self, viewer):
        root = new_id()
        children = [new_id(root) for _ in range(120)]
        viewer.send(
            request(
                envelope_record(root),
                *(
                    envelope_record(child, root, at=n + 1, type=f"Item{n}")
                    for n, child in enumerate(children)
                ),
            )
        )
        page = viewer.open(f"tree/{root}")
        assert rows(page).count() == 51
        page.get_by_text("70 more envelopes caused by this OrderPlaced.").wait_for()
        page.get_by_role("button", name="Show").click()
        assert rows(page).count() == 121
        viewer.open(f"tree/{children[110]}")
        rows(page)
        assert selected(page) == ["Item110"]

    def test_a_deep_one_is_shown_in_parts(self, viewer):
        ids = [new_id()]
        for _ in range(1_500):
            ids.append(new_id(ids[-1]))
        viewer.send(
            request(
                *(
                    envelope_record(own, parent, at=n)
                    for n, (own, parent) in enumerate(zip(ids, ["", *ids[:-1]], strict=True))
                )
            )
        )
        page = viewer.open(f"tree/{ids[0]}")
        assert rows(page).count() == 500
        page.get_by_role("button", name="Show more").click()
        assert rows(page).count() == 1_000
        assert read(page)[-1].startswith("…975 ▾ OrderPlaced")
        viewer.open(f"tree/{ids[-1]}")
        rows(page)
        assert (
            page.locator("[role=treeitem][aria-selected=true]").get_attribute("aria-level")
            == "1501"
        )

    def test_a_trace_leads_to_jaeger_where_there_is_one(self, browser, tmp_path, monkeypatch):
        monkeypatch.setenv("OTELOPE_JAEGER_URL", "http://127.0.0.1:16686")
        with running(tmp_path / "up") as daemon, viewing(daemon, browser) as viewer:
            own = new_id()
            viewer.send(request(envelope_record(own)))
            page = viewer.open(f"tree/{own}")
            link = page.get_by_role("link", name="in Jaeger")
            trace = f"{identify(own).trace_id:032x}"
            assert link.get_attribute("href") == f"http://127.0.0.1:16686/trace/{trace}"


HOSTILE = "<img src=x onerror=\"document.title='taken'\">"


def test_what_an_envelope_says_is_text(viewer):
    own = new_id()
    viewer.send(
        request(
            envelope_record(own, type=HOSTILE, source=HOSTILE, channel=HOSTILE, note=HOSTILE),
            delivery_record(own, outcome="error", **{semconv.ERROR_TYPE: HOSTILE}),
            process_record(instrumented={HOSTILE: HOSTILE}),
            service=HOSTILE,
        )
    )
    for path in ("", f"tree/{own}", "map?hours=", "processes"):
        page = viewer.open(path)
        expect(page.locator("main")).to_contain_text(HOSTILE)
        assert page.locator("main img").count() == 0
        assert page.title() == "otelope"


def test_a_page_may_ask_nobody_else(told):
    answer = told.daemon.ask("/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for name in re.findall(r'(?:href|src)="([^"#]+)"', answer.body.decode()):
        found = told.daemon.ask(f"/{name}")
        assert (found.status, found.headers["x-content-type-options"]) == (200, "nosniff")


def test_what_is_no_page(told):
    assert told.daemon.ask("/nothing").status == 404
    page = told.open("nothing")
    page.get_by_text("There is no such page.").wait_for()


def test_the_map_shows_who_causes_what_in_whom(viewer):
    first, second, third = (new_id() for _ in range(3))
    placed = {semconv.PARENT_SOURCE: "shop", semconv.PARENT_TYPE: "PlaceOrder"}
    declined = {semconv.PARENT_SOURCE: "payments", semconv.PARENT_TYPE: "OrderPlaced"}
    viewer.send(
        request(
            envelope_record(first, type="PlaceOrder", source="shop"),
            envelope_record(second, first, type="OrderPlaced", source="payments", **placed),
            envelope_record(third, second, type="Declined", source="shop", **declined),
        )
    )
    page = viewer.open("map?hours=")
    page.wait_for_selector("svg.map")
    assert sorted(texts(page.locator(".interactions tbody tr"))) == [
        "OrderPlaced payments Declined shop orders.events 1 2025-06-15 15:06:40.000",
        "PlaceOrder shop OrderPlaced payments orders.events 1 2025-06-15 15:06:40.000",
        "PlaceOrder shop orders.events 1 2025-06-15 15:06:40.000",
    ]
    names = page.locator("svg.map .name").all_text_contents()
    assert names == ["(no parent)", "shop", "payments"]
    assert set(page.locator("svg.map title").all_text_contents()) == {
        "(no parent) → shop: PlaceOrder",
        "shop → payments: OrderPlaced",
        "payments → shop: Declined",
    }
    page.get_by_role("link", name="day").click()
    page.get_by_text("Nothing was caused in that time.").wait_for()


def test_processes_say_what_became_of_their_records(viewer):
    counters = {"seen": 1280, "stored": 1260, "spooled": 8, "dropped": 12}
    viewer.send(
        request(
            process_record(
                counters=counters,
                lane="fast",
                instrumented={"brokers.kafka": "instrumented", "web.flask": "too old"},
                spool_failure="it is full",
            )
        )
    )
    page = viewer.open("processes")
    page.wait_for_selector(".processes tbody tr")
    (row,) = texts(page.locator(".processes tbody tr"))
    assert row.startswith("payments 2.1 pid 4711 1,280 1,260 8 12 fast kafka web.flask: too old")
    assert "waits in memory only: it is full" in row


def test_a_daemon_that_went_away_is_named(browser, tmp_path):
    with running(tmp_path / "up") as daemon, viewing(daemon, browser) as viewer:
        page = viewer.open()
        page.get_by_text("No envelope is stored yet").wait_for()
        assert daemon.stop()[0] == 0
        page.get_by_role("link", name="Processes").click()
        page.get_by_text("otelope up does not answer. Is it still running?").wait_for()
        page.get_by_role("button", name="Try again").wait_for()
        viewer.complaints.clear()  # the browser's own word about it
