"""Amounts of money: Decimal, two decimals, never a binary float on the way."""

from decimal import Decimal

CENT = Decimal("0.01")
LARGEST_AMOUNT = Decimal("9999999999.99")
