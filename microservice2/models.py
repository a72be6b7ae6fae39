"""The rows that all layers speak of."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Product:
    id: int
    sku: str
    name: str
    description: str
    category: str
    price: Decimal
    stock: int
    units_sold: int
    has_image: bool
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class StockEntry:
    id: int
    delta: int
    reason: str
    reference: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Category:
    category: str
    products: int


@dataclass(frozen=True, slots=True)
class Reservation:
    order_id: int
    state: str
    refusal: dict | None


@dataclass(frozen=True, slots=True)
class ReservedItem:
    product_id: int
    quantity: int
    sku: str
    name: str
    price: Decimal


@dataclass(frozen=True, slots=True)
class Shelf:
    """A product as far as a reservation needs it, its row locked."""

    id: int
    sku: str
    name: str
    price: Decimal
    stock: int
