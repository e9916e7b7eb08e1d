"""What only the clients of AWS have: what fails of a batch, what has no room, other shapes."""

from __future__ import annotations

import asyncio
import json

import boto3
import pytest

from aiobotocore.session import get_session
from opentelemetry.instrumentation.utils import suppress_instrumentation

import otelope

from otelope.testing.messages import foreign_id, make, new_channel
from otelope.testing.spans import links, parent, span_spot
from tests.contract.queues import ACCESS, arn


pytestmark = pytest.mark.aws


def told(service):
    return [(d.envelope.id, d.outcome, d.attempt, d.redelivered) for d in service.deliveries()]


def attribute(value):
    return {"DataType": "String", "StringValue": value}


@pytest.fixture
def session():
    return boto3.session.Session(**ACCESS)


@pytest.fixture
def connect(session, aws_server):
    """Clients by the name of their service, closed in the end."""
    clients = []

    def connect(service):
        clients.append(session.client(service, endpoint_url=aws_server))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def sqs(service, connect):
    return connect("sqs")


@pytest.fixture
def url(sqs):
    return sqs.create_queue(QueueName=new_channel())["QueueUrl"]


def received(client, url, **more):
    answer = client.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        MessageAttributeNames=["All"],
        AttributeNames=["ApproximateReceiveCount"],
        **more,
    )
    return answer.get("Messages", [])


def entries(*sent, **more):
    return [
        {"Id": str(place), "MessageBody": each.body.decode(), **more}
        for place, each in enumerate(sent)
    ]


class TestBatches:
    def test_an_entry_that_is_refused_fails_alone(self, service, sqs, url):
        sent = [make(), make(), make()]
        given = entries(*sent)
        given[1]["DelaySeconds"] = 901  # 900 is the longest
        before = json.dumps(given)
        answer = sqs.send_message_batch(QueueUrl=url, Entries=given)
        assert json.dumps(given) == before
        failed = [each["Id"] for each in answer.get("Failed", [])]
        assert failed == ["1"]
        (record,) = [each for each in service.done() if each.operation == "send"]
        assert (record.envelope.id, record.outcome) == (sent[1].id, "error")
        assert record.error_type == answer["Failed"][0]["Code"]
        assert [span_spot(span) for span in service.spans("send")] == [s.spot for s in sent]

    def test_an_event_that_is_refused_fails_alone(self, service, connect):
        events, sent = connect("events"), [make(), make()]
        about = {"Source": "shop", "DetailType": "message"}
        given = [
            {**about, "Detail": sent[0].body.decode()},
            # Without a source; EventBridge says so of this one.
            {"DetailType": "message", "Detail": sent[1].body.decode()},
        ]
        answer = events.put_events(Entries=given)
        assert answer["FailedEntryCount"] == 1
        (record,) = service.done()
        assert (record.envelope.id, record.outcome) == (sent[1].id, "error")
        assert record.error_type == answer["Entries"][1]["ErrorCode"]
        assert [span.name for span in service.spans("send")] == ["send default"] * 2

    def test_each_is_settled_alone(self, service, sqs, url):
        sent = [make(), make(), make()]
        sqs.send_message_batch(QueueUrl=url, Entries=entries(*sent))
        first, second, third = received(sqs, url)
        # More time is no word about the outcome.
        handles = [message["ReceiptHandle"] for message in (first, second, third)]
        visible = {"QueueUrl": url, "ReceiptHandle": handles[0]}
        sqs.change_message_visibility(**visible, VisibilityTimeout=60)
        sqs.delete_message(QueueUrl=url, ReceiptHandle=handles[0])
        sqs.change_message_visibility_batch(
            QueueUrl=url,
            Entries=[{"Id": "1", "ReceiptHandle": handles[1], "VisibilityTimeout": 0}],
        )
        assert service.deliveries() == []
        sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": "2", "ReceiptHandle": handles[2]}])
        assert [(d.envelope.id, d.outcome, d.error_type) for d in service.deliveries()] == [
            (sent[0].id, "ok", None),
            (sent[1].id, "error", "rejected"),
            (sent[2].id, "ok", None),
        ]
        (again,) = received(sqs, url)
        sqs.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])
        assert told(service)[-1] == (sent[1].id, "ok", 2, True)

    def test_what_is_no_list_is_the_clients_to_refuse(self, service, sqs, url):
        with pytest.raises(Exception, match="Invalid type for parameter Entries"):
            sqs.send_message_batch(QueueUrl=url, Entries="one, two")
        assert service.spans() == []


class TestRoom:
    def test_of_ten_attributes_none_is_pushed_out(self, service, sqs, url):
        sent = make()
        for count, there in ((8, 2), (9, 1), (10, 0)):
            own = {f"a{number}": attribute("1") for number in range(count)}
            sqs.send_message(QueueUrl=url, MessageBody=sent.body.decode(), MessageAttributes=own)
            (message,) = received(sqs, url)
            assert len(own) == count
            assert own.items() <= message["MessageAttributes"].items()
            stamped = message["MessageAttributes"].keys() - own.keys()
            assert stamped == set(["traceparent", "tracestate"][:there])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    @pytest.mark.parametrize("batch", [False, True])
    def test_what_is_nearly_too_long_is_sent_as_it_is(self, service, sqs, url, batch):
        sent = make()
        long = make(note="x" * (262_144 - len(sent.body) - 40))
        assert 262_100 < len(long.body) <= 262_144
        if batch:
            sqs.send_message_batch(QueueUrl=url, Entries=entries(long))
        else:
            sqs.send_message(QueueUrl=url, MessageBody=long.body.decode())
        (message,) = received(sqs, url)
        assert message["Body"] == long.body.decode()
        assert "MessageAttributes" not in message
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        assert service.shapes() == [["PlaceOrder", "  process PlaceOrder"]]


class TestForwarded:
    def test_a_text_for_each_protocol(self, service, sqs, url, connect):
        sns, name, sent = connect("sns"), url.rpartition("/")[2], make()
        topic = sns.create_topic(Name=name)["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn("sqs", name))
        texts = {"default": sent.body.decode(), "email": "an order"}
        sns.publish(TopicArn=topic, Message=json.dumps(texts), MessageStructure="json")
        (message,) = received(sqs, url)
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        assert service.shapes() == [["PlaceOrder", "  process PlaceOrder"]]

    def test_a_foreign_id_through_a_notification_is_in_its_trace(self, service, sqs, url, connect):
        sns, name, sent = connect("sns"), url.rpartition("/")[2], make(make_id=foreign_id)
        topic = sns.create_topic(Name=name)["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn("sqs", name))
        with service.provider.get_tracer("app").start_as_current_span("request") as request:
            sns.publish(TopicArn=topic, Message=sent.body.decode())
        service.forget()
        (message,) = received(sqs, url)
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        (span,) = service.spans("send")
        (handling,) = service.spans("process")
        assert parent(span) == span_spot(request)
        assert (parent(handling), links(handling)) == (span_spot(span), [])


class TestHandling:
    """`otelope.handling` takes what the application has in hand."""

    def handled(self, service, item):
        with otelope.handling(item) as envelope:
            assert envelope is not None
        (delivery,) = service.deliveries()
        (span,) = service.spans("process")
        return envelope.id, delivery.channel, span.attributes["messaging.system"]

    def lambda_record(self, sent, **more):
        return {
            "messageId": "1",
            "receiptHandle": "2",
            "body": sent.body.decode(),
            "attributes": {"ApproximateReceiveCount": "3"},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": arn("sqs", "orders"),
            **more,
        }

    def test_a_record_of_a_lambda_event_from_sqs(self, service, sqs):
        sent = make()
        record = self.lambda_record(sent)
        assert self.handled(service, record) == (sent.id, "orders", "aws_sqs")
        assert told(service) == [(sent.id, "ok", 3, True)]

    def test_its_attributes_are_headers(self, service, sqs):
        sent = make(make_id=foreign_id)
        trace_id, span_id = 0xA1, 0xB2
        traceparent = f"00-{trace_id:032x}-{span_id:016x}-01"
        stamped = {"traceparent": {"stringValue": traceparent, "dataType": "String"}}
        self.handled(service, self.lambda_record(sent, messageAttributes=stamped))
        (span,) = service.spans("process")
        assert parent(span) == (trace_id, span_id)

    def test_a_handler_fails_for_one_record_and_goes_on(self, service, sqs):
        sent = [make(), make()]
        event = {"Records": [self.lambda_record(each) for each in sent]}
        failures = []
        for record in event["Records"]:
            try:
                with otelope.handling(record):
                    if not failures:
                        raise ValueError("no such order")  # noqa: TRY301 - its block is the point
            except ValueError:
                failures.append({"itemIdentifier": record["messageId"]})
        assert [outcome for _, outcome, _, _ in told(service)] == ["error", "ok"]

    def test_a_record_of_a_lambda_event_from_sns(self, service, sqs):
        sent = make()
        notification = {
            "TopicArn": arn("sns", "orders"),
            "Message": sent.body.decode(),
            "MessageAttributes": {},
        }
        record = {"EventSource": "aws:sns", "Sns": notification}
        assert self.handled(service, record) == (sent.id, "orders", "aws.sns")

    def test_a_lambda_event_from_eventbridge(self, service, sqs):
        sent = make()
        event = {"detail-type": "message", "detail": json.loads(sent.body), "source": "shop"}
        assert self.handled(service, event) == (sent.id, None, "aws.eventbridge")

    def test_a_message_of_boto3s_resource(self, service, sqs, url, session, aws_server):
        sent = [make(), make()]
        queue = session.resource("sqs", endpoint_url=aws_server).Queue(url)
        queue.send_messages(Entries=entries(*sent))
        seen = []
        for message in queue.receive_messages(MaxNumberOfMessages=10):
            with otelope.handling(message) as envelope:
                seen.append(envelope.id)
            message.delete()
        queue.meta.client.close()
        assert seen == [each.id for each in sent]
        assert [outcome for _, outcome, _, _ in told(service)] == ["ok", "ok"]
        assert service.orphans() == []

    def test_each_task_has_its_own_message(self, service, aws_server):
        sent = [make(), make()]

        async def work(client, url, n):
            message = (await client.receive_message(QueueUrl=url))["Messages"][0]
            began[n].set()
            await began[1 - n].wait()
            current = otelope.current()
            await client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return current.id, json.loads(message["Body"])["id"]

        async def run():
            to = {**ACCESS, "endpoint_url": aws_server}
            async with get_session().create_client("sqs", **to) as client:
                with suppress_instrumentation():
                    made = await client.create_queue(QueueName=new_channel())
                url = made["QueueUrl"]
                await client.send_message_batch(QueueUrl=url, Entries=entries(*sent))
                return await asyncio.gather(*(work(client, url, n) for n in range(2)))

        began = [asyncio.Event(), asyncio.Event()]
        seen = asyncio.run(run())
        assert [current for current, _ in seen] == [body for _, body in seen]
        assert sorted(body for _, body in seen) == sorted(each.id for each in sent)
        assert [outcome for _, outcome, _, _ in told(service)] == ["ok", "ok"]
