#!/bin/sh
# petisco 2.2.3 on RabbitMQ 3.10.8, with the pika 1.3.2 that it asks for: a subscriber that fails gets its message again,
# and in the end it is among the dead letters, unless the message came with any header at all. Then it is gone after the
# first failure: acknowledged, and in no queue. The consumer notes in a header which queue a message is to come back to,
# but only `if not properties.headers`; otherwise it publishes it by its first routing key, which nothing is bound for in
# the retry exchange (petisco/extra/rabbitmq/application/message/consumer/rabbitmq_message_consumer.py). petisco's own
# publisher sends no headers: lost is what somebody else has published, or has put a trace context into.
#
# It needs a RabbitMQ at 127.0.0.1:5672, with guest as user and password. Output seen: below.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv .venv
.venv/bin/pip install -q 'petisco[rabbitmq]==2.2.3'
RABBITMQ_HOST=127.0.0.1 .venv/bin/python - 2>log <<'END' | tee seen
import time
from uuid import uuid4

import pika
from meiga import isFailure
from petisco import DomainEvent, DomainEventSubscriber
from petisco.extra.rabbitmq import RabbitMqMessageConfigurer, RabbitMqMessageConsumer
from petisco.extra.rabbitmq.shared.queue_config import QueueConfig

calls = []


class TaskCreated(DomainEvent):
    title: str


class Failing(DomainEventSubscriber):
    def subscribed_to(self):
        return [TaskCreated]

    def handle(self, event):
        calls.append(event.get_message_attributes()["title"])
        return isFailure


service = f"finding-{uuid4().hex[:8]}"
queue = f"acme.{service}.1.event.task_created"
ttls = QueueConfig.default(default_retry_ttl=50, default_main_ttl=600_000)
configurer = RabbitMqMessageConfigurer("acme", service, queue_config=ttls, use_store_queues=False)
configurer.configure_subscribers([Failing])
try:
    connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1"))
    channel = connection.channel()
    for title, headers in (("without", None), ("with one", {"tenant": "home"})):
        body = TaskCreated(title=title).format_json().encode()
        channel.basic_publish(f"acme.{service}", queue, body, pika.BasicProperties(headers=headers, delivery_mode=2))
    consumer = RabbitMqMessageConsumer("acme", service, max_retries=2)
    consumer.add_subscribers([Failing])
    consumer.start()
    time.sleep(2)
    consumer.stop()
    for title in ("without", "with one"):
        print(title, "calls:", calls.count(title))
    for prefix in ("", "retry.", "dead_letter."):
        found = channel.queue_declare(f"{prefix}{queue}.failing", passive=True)
        print(prefix or "its queue", found.method.message_count)
    connection.close()
finally:
    configurer.clear_subscribers([Failing])
END

diff - seen <<'END' || { cat log; exit 1; }
without calls: 3
with one calls: 1
its queue 0
retry. 0
dead_letter. 1
END
