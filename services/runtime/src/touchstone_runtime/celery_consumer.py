"""Celery's consumer without its step for delayed tasks, which we never send.

With a quorum queue that step declares 28 exchanges and 28 quorum queues more, at each start of a worker. This module is
imported by workers only, by its name (`brokers.options`).
"""

from celery.worker import consumer

DELAYED = "celery.worker.consumer.delayed_delivery:DelayedDelivery"


class Consumer(consumer.Consumer):  # type: ignore[misc] # Celery has no annotations
    """Takes messages as Celery's does."""

    class Blueprint(consumer.Consumer.Blueprint):  # type: ignore[misc] # as above
        """The steps of its start."""

        default_steps = tuple(step for step in consumer.Consumer.Blueprint.default_steps if step != DELAYED)
