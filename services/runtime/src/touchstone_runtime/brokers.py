"""What Celery has to know of each kind of broker. Pure: settings from a URL.

**Redis and Valkey** lose messages when processes are killed. **RabbitMQ** keeps them in a quorum queue, replicated and
confirmed. Neither is believed: servers send again what is overdue in the record (`jobs.Dispatcher`), so what follows
is chosen to keep work flowing, not to keep messages.

On RabbitMQ a message is acknowledged late, when its job has ended. Early, a worker at work would hold the next message
behind its job, out of reach of idle workers, and unacknowledged all the same. So a message may be out for as long as
a job lasts: the queue's `x-consumer-timeout` says how long that may be (RabbitMQ 3.12 or later; before it is
`consumer_timeout` of the server, half an hour unless raised). One that is out for longer comes back and is thrown away
by the next worker, since the job is claimed; the worker at work goes on, over a new channel.

A message that came back `x-delivery-limit` times is dropped by the broker. That loses nothing, since the record sends
the job again, and ends nothing, since the record counts attempts: it only ends the walk of a message that nobody can
take.
"""

import socket
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from kombu.entity import Exchange, Queue

from touchstone_runtime.jobs.records import HIGHEST_PRIORITY

CONFIRM_SECONDS = 5.0
"""How long a broker may take to confirm a message."""
SILENCE_SECONDS = 5.0
"""How long a broker may leave a request without an answer."""
CONSUMER_TIMEOUT_MILLIS = 14 * 24 * 3600 * 1000
"""Longer than jobs last, and below 2**31."""
DELIVERY_LIMIT = 20
"""As RabbitMQ 4 has it by default; 3 has none."""

_REDIS = {
    "visibility_timeout": 3600,
    # A broker that was replaced leaves addresses that lead nowhere; the system's own patience is two minutes.
    "socket_connect_timeout": 5,
    # One that hangs takes connections and never answers. Workers that wait for a message wait by select, not by this.
    "socket_timeout": SILENCE_SECONDS,
    "socket_keepalive": True,
    "socket_keepalive_options": {socket.TCP_KEEPIDLE: 10, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 3},
    "health_check_interval": 10,
}
"""Options of Redis and Valkey, in seconds."""
_QUORUM = {
    "x-queue-type": "quorum",
    "x-delivery-limit": DELIVERY_LIMIT,
    "x-consumer-timeout": CONSUMER_TIMEOUT_MILLIS,
}
_VERIFIED = {"context": {"check_hostname": True}, "server_hostname": None}
"""TLS by the system's authorities; the name is that of the URL. By itself Celery compares no names."""


def is_rabbitmq(broker_url: str) -> bool:
    """Tell whether a URL is that of a RabbitMQ, `amqp://` or `amqps://`."""
    return urlsplit(broker_url).scheme in ("amqp", "amqps")


def options(broker_url: str, queues: Sequence[str]) -> dict[str, Any]:
    """Return Celery's settings for queues on a broker."""
    arguments = _QUORUM if is_rabbitmq(broker_url) else None
    # By the exchange without a name, which leads to every queue by its name and needs no declaration.
    nameless = Exchange("")  # type: ignore[no-untyped-call] # kombu annotates little
    known = [Queue(each, nameless, routing_key=each, queue_arguments=arguments) for each in queues]  # type: ignore[no-untyped-call] # same
    if not is_rabbitmq(broker_url):
        return {"task_queues": known, "broker_transport_options": _REDIS}
    return {
        "task_queues": known,
        # A queue that is not ready lets its whole channel wait, also for the answer to its being closed. Workers that
        # wait for a message wait by select, not by this.
        "broker_transport_options": {
            "confirm_publish": True,
            "read_timeout": SILENCE_SECONDS,
            "write_timeout": SILENCE_SECONDS,
        },
        "broker_use_ssl": dict(_VERIFIED) if urlsplit(broker_url).scheme == "amqps" else False,
        # A channel that the broker closed, as after the consumer timeout, would end the worker.
        "broker_channel_error_retry": True,
        "broker_heartbeat": 20,
        "worker_consumer": "touchstone_runtime.celery_consumer:Consumer",
    }


def priority(broker_url: str, job_priority: int) -> int:
    """Return a job's priority as its broker has it.

    To Redis zero is the highest and ten steps are four; RabbitMQ 4 knows more and less than 5, RabbitMQ 3 none.
    """
    return job_priority if is_rabbitmq(broker_url) else HIGHEST_PRIORITY - job_priority
