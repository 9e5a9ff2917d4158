"""Both kinds of broker, each a server of this module's own that its tests may kill and pause."""

from collections.abc import Iterator

import brokers
import pytest

CONSUMER_TIMEOUT_SECONDS = 3
"""Of a RabbitMQ that does not let queues say it; so short that jobs of these tests take longer."""


@pytest.fixture(scope="module")
def valkey() -> Iterator[brokers.Broker]:
    broker = brokers.Valkey()
    yield broker
    broker.close()


@pytest.fixture(scope="module")
def rabbitmq() -> Iterator[brokers.RabbitMq]:
    if not brokers.RabbitMq.is_installed():
        pytest.skip("needs a RabbitMQ: apt-get install --no-install-recommends rabbitmq-server")
    broker = brokers.RabbitMq(consumer_timeout_seconds=CONSUMER_TIMEOUT_SECONDS)
    yield broker
    broker.close()


@pytest.fixture(scope="module", params=["valkey", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> brokers.Broker:
    found: brokers.Broker = request.getfixturevalue(request.param)
    return found
