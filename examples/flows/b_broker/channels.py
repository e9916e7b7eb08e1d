"""The channels of commands; those of events are the services' own."""

from __future__ import annotations


ORDERS_COMMANDS = "orders.commands"
SHIPPING_COMMANDS = "shipping.commands"
