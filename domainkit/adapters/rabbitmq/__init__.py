"""Events and commands over RabbitMQ, with aio-pika (extra `rabbitmq`): at least once, and in order.

A publisher sends messages and waits for the broker's confirms; a consumer calls the functions bound by `handled_by`:

    topology = RabbitMqTopology("acme.tasks", service="mailing")
    consumer = RabbitMqConsumer(url, topology, codec, subscribers={"greeter": TaskCreated.handled_by(greet)})

    async with consumer, RabbitMqPublisher(url, topology) as publisher:
        await RabbitMqDomainEventBus(codec, publisher).publish(TaskCreated(task_id))
"""

try:
    import aio_pika  # noqa: F401  # check that it is installed
except ImportError as _error:
    from domainkit.adapters import missing_extra

    raise missing_extra(__name__, "rabbitmq") from _error

from domainkit.adapters.rabbitmq._handling import PROBLEMS_HEADER, Backoff
from domainkit.adapters.rabbitmq.buses import RabbitMqCommandBus, RabbitMqDomainEventBus
from domainkit.adapters.rabbitmq.consumer import Queues, RabbitMqConsumer, Subscribers
from domainkit.adapters.rabbitmq.dead_letters import redeliver
from domainkit.adapters.rabbitmq.publisher import RabbitMqPublisher
from domainkit.adapters.rabbitmq.status import QueueStatus, queue_status
from domainkit.adapters.rabbitmq.topology import QueueClashError, RabbitMqTopology, dead_letter_queue

__all__ = [
    "PROBLEMS_HEADER",
    "Backoff",
    "QueueClashError",
    "QueueStatus",
    "Queues",
    "RabbitMqCommandBus",
    "RabbitMqConsumer",
    "RabbitMqDomainEventBus",
    "RabbitMqPublisher",
    "RabbitMqTopology",
    "Subscribers",
    "dead_letter_queue",
    "queue_status",
    "redeliver",
]
