"""
The layout for a cluster, in one engine that is every shard of it.

What replicas do among themselves, and the queue of ON CLUSTER, cannot be had here
(`clickhouse_front` says why); all else is what the engine itself says.
"""

from __future__ import annotations

import re

from pathlib import Path

import pytest

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import otelope.store

from otelope.collector.otlp import log_rows, span_rows
from otelope.model import semconv
from otelope.model.identity import new_id
from otelope.store import Server, Store, StoreError, contracts, open_store, questions, schema
from otelope.store.layout import Layout
from otelope.store.remote import RemoteEngine
from tests.cli.story import export_request, order, walk
from tests.e2e.servers.clickhouse import clickhouse
from tests.store.made import (
    EPOCH_MS,
    delivery_record,
    envelope_record,
    keep,
    keep_unnamed,
    make_tables,
    process_record,
)


CLUSTER = "shop"
LAYOUT = Layout("otelope", CLUSTER)
QUERIES = Path(otelope.store.__file__).parent / "sql" / "queries"
SCHEMA_1 = Path(__file__).parent / "schemas" / "1-cluster.sql"
TRACE = {
    "otel_logs": "TraceId", "otel_traces": "TraceId", "envelopes": "trace_id",
    "deliveries": "trace_id",
}  # fmt: skip
# Of rows that belong to no trace: anything by which they can be told apart.
OTHER = {"processes": "pid", "interactions": "type", "contracts": "type"}


def opened(server):
    return RemoteEngine(Server.from_url(server.url))


@pytest.fixture(scope="module")
def replicated(tmp_path_factory):
    """A server with a Keeper, the plan for it, and the tables as far as they take no rows."""
    with clickhouse(tmp_path_factory.mktemp("keeper"), "--cluster", CLUSTER, "--keeper") as server:
        engine = opened(server)
        plan = schema.plan(engine, LAYOUT)
        # The last notes the version, in a Replicated table.
        for step in plan[:-1]:
            engine.run(step.statement)
        yield server, engine, plan
        engine.close()


@pytest.fixture
def cluster(tmp_path):
    """A server that is the two shards of a cluster, whose tables take rows."""
    with clickhouse(tmp_path / "server", "--cluster", CLUSTER, "--shards", "2") as server:
        yield server


def tables(server):
    """Engine, and what is written of it, by name."""
    question = (
        "SELECT name, engine, create_table_query FROM system.tables WHERE database = 'otelope'"
    )
    rows = [row.split("\t") for row in server.ask(question).split("\n")]
    return {name: (kind, made) for name, kind, made in rows}


def test_every_statement_is_the_engines_language_and_for_the_whole_cluster(replicated):
    server, _, plan = replicated
    for step in plan:
        assert server.ask(f"EXPLAIN AST {step.statement}"), step
        local = step.title.startswith("note schema version")
        assert ("ON CLUSTER `shop`" in step.statement) != local


def test_rows_stand_in_replicated_tables_and_go_to_the_shard_of_their_trace(replicated):
    found = tables(replicated[0])
    names = {name.removesuffix("_local") for name in found if name.endswith("_local")}
    assert names == {*TRACE, *OTHER, "schema_version"}
    for name in names:
        path = f"('/clickhouse/tables/{{shard}}/otelope/{name}_local', '{{replica}}'"
        kind, made = found[f"{name}_local"]
        assert re.fullmatch(r"Replicated\w*MergeTree", kind)
        assert f"ENGINE = {kind}{path}" in made
        kind, made = found[name]
        assert kind == "Distributed"
        shard = made.partition(f"Distributed('shop', 'otelope', '{name}_local', ")[2]
        assert (f"cityHash64({TRACE[name]})" if name in TRACE else "rand64()") in shard
    # What is inserted into: a block that is sent again must fall into the same pieces.
    for name in ("otel_logs", "otel_traces"):
        assert "rand" not in found[name][1]


def test_views_read_and_fill_what_is_on_their_own_server(replicated):
    views = [made for kind, made in tables(replicated[0]).values() if kind == "MaterializedView"]
    assert len(views) == 6
    for made in views:
        assert re.search(r" TO otelope\.\w+_local ", made)
        assert re.findall(r"FROM (\S+)", made) == ["otelope.otel_logs_local"]


def test_made_once_there_is_nothing_to_do_and_nothing_differs(replicated):
    _, engine, plan = replicated

    assert schema.plan(engine, LAYOUT) == plan[-1:]
    assert schema.differences(engine, LAYOUT) == []
    assert schema.cluster_of(engine) == CLUSTER


def test_the_tables_of_a_cluster_are_not_taken_for_others(replicated):
    _, engine, _ = replicated
    for layout in (Layout("otelope"), Layout("otelope", "other")):
        with pytest.raises(StoreError, match="those of a cluster, shop: say --cluster shop"):
            schema.plan(engine, layout)


def test_what_was_begun_for_a_cluster_is_not_gone_on_with_for_a_server(cluster):
    engine = opened(cluster)
    for step in schema.plan(engine, LAYOUT)[:2]:
        engine.run(step.statement)
    with pytest.raises(StoreError, match="those of a cluster, begun: say --cluster NAME"):
        schema.plan(engine, Layout("otelope"))

    make_tables(Server.from_url(cluster.url), cluster=CLUSTER)

    assert schema.version(engine) == 2
    engine.close()


def test_what_comes_while_tables_are_made_is_refused_or_seen_by_every_view(cluster):
    engine = opened(cluster)
    store, taken, refused = Store(engine), [], 0
    for step in schema.plan(engine, LAYOUT):
        engine.run(step.statement)
        own = new_id()
        try:
            keep(store, envelope_record(own))
        except StoreError:
            refused += 1
        else:
            taken.append(own)

    assert refused > 10
    assert taken
    assert {each["id"] for each in questions.find(store)} == set(taken)
    assert {each["id"] for each in questions.find(store, text="payload")} == set(taken)
    engine.close()


def test_a_cluster_that_the_servers_do_not_know(cluster):
    with pytest.raises(StoreError, match=r"no such cluster: name one .*'nowhere' not found"):
        make_tables(Server.from_url(cluster.url), cluster="nowhere")


def test_a_cluster_of_schema_1_is_upgraded_where_it_is(cluster):
    for statement in SCHEMA_1.read_text().split(";\n"):
        if statement.strip():
            known = cluster.ask("SELECT name FROM system.databases")
            cluster.ask(statement, "otelope" if "otelope" in known else "default")
    server = Server.from_url(cluster.url)
    engine = opened(cluster)
    keep(Store(engine), envelope_record(new_id()))
    plan = schema.plan(engine, LAYOUT)
    for step in plan:
        assert cluster.ask(f"EXPLAIN AST {step.statement}"), step
    assert [step.title for step in plan if "otel_logs" in step.title] == [
        "change the default of column EventName of otel_logs_local",
        "send on what waits in otel_logs",
        "renew distributed table otel_logs",
    ]

    make_tables(server, cluster=CLUSTER)

    # chDB cannot have them Replicated and take rows.
    assert {line.split()[2:5] == ["has", "the", "engine"] for line in
            schema.differences(engine, LAYOUT)} == {True}  # fmt: skip
    assert schema.plan(engine, LAYOUT) == []
    engine.close()
    with open_store(server) as store:
        keep_unnamed(store, envelope_record(new_id()))
        assert len(questions.find(store)) == 2


def test_changes_reach_the_distributed_tables_too(cluster):
    make_tables(Server.from_url(cluster.url), cluster=CLUSTER)
    for name in ("envelopes", "envelopes_local"):
        cluster.ask(f"ALTER TABLE otelope.{name} DROP COLUMN channel")
    cluster.ask("ALTER TABLE otelope.otel_logs MODIFY COLUMN EventName REMOVE DEFAULT")
    engine = opened(cluster)
    told = [line for line in schema.differences(engine, LAYOUT) if "engine" not in line]
    assert [line.partition(" instead")[0] for line in told] == [
        "column EventName of table otel_logs has no default",
        "table envelopes_local lacks column channel LowCardinality(String)",
        "table envelopes lacks column channel LowCardinality(String)",
    ]
    steps = schema.plan(engine, Layout("otelope", CLUSTER, {"envelopes": 90, "traces": 0}))
    for step in steps:
        assert cluster.ask(f"EXPLAIN AST {step.statement}"), step
        engine.run(step.statement)

    assert [step.title for step in steps] == [
        "change the default of column EventName of otel_logs",
        "add column channel to envelopes_local",
        "add column channel to envelopes",
        "keep rows of envelopes_local for 90 days",
        "keep rows of deliveries_local for 90 days",
        "keep rows of interactions_local for 90 days",
        "keep rows of contracts_local for 90 days",
    ]
    assert schema.plan(engine, LAYOUT) == []
    engine.close()


def test_acknowledged_is_committed_on_the_shards(tmp_path):
    options = ("--cluster", CLUSTER, "--shards", "0", "--lost-shards", "1")
    with clickhouse(tmp_path / "server", *options) as server:
        engine = opened(server)
        for step in schema.plan(engine, LAYOUT)[:-1]:
            engine.run(step.statement)
        # As a server does it unless it is told otherwise: taken in, and sent on some time.
        server.ask("INSERT INTO otelope.otel_logs (TraceId) VALUES ('x')")
        waiting = "SELECT sum(data_files) FROM system.distribution_queue"
        assert server.ask(waiting) == "1"

        with pytest.raises(StoreError, match=r"a shard .* does not answer .*Connection refused"):
            keep(Store(engine), envelope_record(new_id()))

        assert server.ask(waiting) == "1"
        # Nor is half of what there is taken for all of it.
        with pytest.raises(StoreError, match="a shard of the cluster does not answer"):
            questions.find(Store(engine))
        engine.close()


IN_SUBQUERY = re.compile(r"(GLOBAL )?(?:NOT )?\bIN\s*\(\s*(?:SELECT|WITH)\b")
JOIN = re.compile(r"(GLOBAL |ARRAY )?\b(?:ANY |ALL |LEFT |INNER |FULL |CROSS |ASOF )*JOIN\b")


@pytest.mark.parametrize("path", sorted(QUERIES.glob("*.sql")), ids=lambda path: path.stem)
def test_what_a_question_asks_within_is_asked_of_all_shards(path):
    text = path.read_text()
    for pattern in (IN_SUBQUERY, JOIN):
        assert all(found[1] for found in pattern.finditer(text))


def test_what_is_looked_for_would_be_found():
    assert not IN_SUBQUERY.search("id IN (SELECT a FROM b)")[1]
    assert not IN_SUBQUERY.search("id NOT IN\n(\n  SELECT a FROM b)")[1]
    assert IN_SUBQUERY.search("id GLOBAL IN\n(\n    SELECT a FROM b)")[1]
    assert not JOIN.search("FROM a LEFT JOIN b")[1]
    assert JOIN.search("ARRAY JOIN c")[1]
    assert len(IN_SUBQUERY.findall((QUERIES / "find.sql").read_text())) == 2


def everything(store):
    """A tree with all that a tree can have, chains in pieces, contracts, processes, spans."""
    logs = ExportLogsServiceRequest.FromString(export_request(walk(order())))
    rows = log_rows(logs)
    store.ingest(rows.table, rows.data, "")
    apart = [f"abcdef0{number}-0000-4000-8000-000000000000" for number in range(9)]
    keep(
        store,
        *(
            envelope_record(each, parent, type=f"Type{at % 3}", at=at, recorded_by=by,
                            **{semconv.CONTRACT_DECLARED: '["a"]', semconv.CONTRACT_LEFT: '["b"]'})
            for at, (each, parent) in enumerate(zip(apart, ["", *apart], strict=False))
            for by in ("sender", "receiver")
        ),
        delivery_record(apart[3], outcome="error"),
        delivery_record(apart[4], **{semconv.DELIVERY_OPERATION: "outbox"}),
        *(process_record(at=at, pid=at % 4) for at in range(8)),
    )  # fmt: skip
    spans = ExportTraceServiceRequest()
    scope = spans.resource_spans.add().scope_spans.add()
    for number in range(1, 6):
        span = scope.spans.add(trace_id=bytes([number]) * 16, name=f"span {number}")
        span.span_id = bytes([number]) * 8
    rows = span_rows(spans)
    store.ingest(rows.table, rows.data, "")
    return [*(node["id"] for node in walk(order())), *apart]


def answers(store, ids):
    """What is answered to every question."""
    (clock,) = store.ask("stitch_clock")[0]
    moment = EPOCH_MS * 1_000_000
    traces = [questions.envelope(store, each)["trace_id"] for each in ids]
    return {
        "trees": [questions.tree(store, each) for each in (*ids, "abcdef01", traces[0])],
        "candidates": questions.tree(store, "abcdef").candidates,
        "envelopes": [questions.envelope(store, each) for each in ids],
        "found": [
            questions.find(store, **filters)
            for filters in (
                {}, {"limit": 3}, {"failed": True}, {"failed": False}, {"stuck": True},
                {"type": "Type1"}, {"text": "ORDER"}, {"until": EPOCH_MS + 4},
            )
        ],
        "tail": sorted(
            (each["what"], each["id"]) for each in questions.tail(store, last=1000).items
        ),
        "processes": questions.processes(store),
        "interactions": questions.interactions(store),
        "contracts": contracts.contracts(store),
        "spans": [questions.spans(store, f"{number:02x}" * 16) for number in range(1, 6)],
        "kin": [sorted(store.ask(f"kin_{side}", moment=at, limit=100))
                for side, at in (("after", 0), ("before", moment * 2))],
        "lineage": sorted(store.ask("envelopes_of_lineage", lineage=ids[0][:18], limit=100)),
        "handled": store.ask("delivered_in_trace", trace_id=traces[0], limit=100),
        "cuts": sorted(
            (cut, member, sorted(found), known)
            for cut, member, found, known, _ in
            store.ask("stitch_cuts", since=0, until=clock, limit=100)
        ),
        "arrivals": sorted(row[0] for row in
                           store.ask("stitch_arrivals", since=0, until=clock, trace_ids=traces)),
        "traces": sorted(store.ask("stitch_traces", ids=ids)),
    }  # fmt: skip


@pytest.mark.slow
def test_every_question_is_answered_as_by_one_server(store, cluster):
    server = Server.from_url(cluster.url)
    make_tables(server, cluster=CLUSTER)
    engine = RemoteEngine(server)
    sharded = Store(engine)
    ids = everything(store)
    assert everything(sharded) == ids
    # The engine is both shards: let each see only rows of its own.
    for table, column in {**TRACE, **OTHER}.items():
        engine.run(f"RENAME TABLE otelope.{table}_local TO otelope.{table}_rows")
        engine.run(
            f"CREATE VIEW otelope.{table}_local AS SELECT * FROM otelope.{table}_rows "  # noqa: S608 - our own
            f"WHERE cityHash64({column}) % 2 + 1 = shardNum()"
        )
        shards = cluster.ask(f"SELECT DISTINCT shardNum() FROM otelope.{table} ORDER BY 1")  # noqa: S608 - our own
        assert shards == "1\n2", table

    expected = answers(store, ids)
    for question, answer in answers(sharded, ids).items():
        assert answer, question
        assert answer == expected[question], question
    engine.close()
