"""What callers write to put money right."""

from typing import Annotated

from pydantic import Field

from api.models import Amount, OrderId, OrderWrite, shown
from domain.units import money_micros

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["CNY"])]
Note = Annotated[str, Field(min_length=1, max_length=500, examples=["the meter was misread in May"])]


class AdjustmentOrder(OrderWrite):
    """A person gives an amount, or takes it where it is negative. `corrects`: the id of the order that was wrong."""

    model_config = shown(
        {"id": "01K5QYV3J8Z6M2T4W9X1C7B0ND", "amount": "-5.00", "currency": "CNY", "note": "misread in May"}
    )

    amount: Amount
    currency: Currency
    note: Note
    corrects: OrderId | None = None

    @property
    def amount_micros(self) -> int:
        """The amount."""
        return money_micros(self.amount)


class ReversalOrder(OrderWrite):
    """The payment behind a recharge failed. `order`: the recharge's id."""

    model_config = shown({"id": "01K5QYV3J8Z6M2T4W9X1C7B0ND", "order": "01K5QYV3J8Z6M2T4W9X1C7B0NC"})

    order: Annotated[OrderId, Field(description="The recharge's id.")]
    note: Annotated[str, Field(max_length=500)] = ""
