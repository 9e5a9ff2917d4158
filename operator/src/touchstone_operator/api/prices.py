"""What answers cost: said of a deployment, and kept with what was measured of it."""

from typing import Annotated

from pydantic import ConfigDict

from touchstone_operator.api.common import ApiModel, Decimal, rules, text

Currency = Annotated[str, text(3, pattern=r"^[A-Z]{3}$")]
"""An ISO 4217 code, as USD."""


class TokenPrice(ApiModel):
    """A price by tokens."""

    input_per_million: Decimal
    """inputPerMillion is of a million prompt tokens."""
    output_per_million: Decimal
    """outputPerMillion is of a million generated tokens."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "double(self.inputPerMillion) >= 0.0 && double(self.outputPerMillion) >= 0.0",
                "a price must be 0 or more",
            )
        )
    )


class Price(ApiModel):
    """What answers cost: by their tokens, as of a provider, or by the time of the replicas that make them."""

    currency: Currency
    """currency is an ISO 4217 code, as USD."""
    tokens: TokenPrice | None = None
    """tokens prices an answer by its tokens."""
    per_replica_hour: Decimal | None = None
    """perReplicaHour prices an answer by its share of the time of the replicas: an hour of one, with its devices."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.tokens) != has(self.perReplicaHour)", "set exactly one of tokens and perReplicaHour"),
            ("!has(self.perReplicaHour) || double(self.perReplicaHour) >= 0.0", "perReplicaHour must be 0 or more"),
        )
    )


class PriceStatus(ApiModel):
    """What answers of a revision cost when a run of it began."""

    currency: Currency
    """currency is an ISO 4217 code."""
    tokens: TokenPrice | None = None
    """tokens is the price by tokens."""
    per_hour: Decimal | None = None
    """perHour is of an hour of all replicas that were ready."""


def of_revision(price: Price | None, ready_replicas: int) -> PriceStatus | None:
    """Price a revision by the replicas that serve it; one that is still starting has at least one."""
    if price is None or price.tokens is not None or price.per_replica_hour is None:
        return PriceStatus(currency=price.currency, tokens=price.tokens) if price else None
    per_hour = float(price.per_replica_hour) * max(1, ready_replicas)
    return PriceStatus(currency=price.currency, per_hour=f"{per_hour:.10g}")


__all__ = ["Price", "PriceStatus", "TokenPrice", "of_revision"]
