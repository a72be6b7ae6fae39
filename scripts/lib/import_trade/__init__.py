"""Replays a shop's trade through Quartet's public API, as a client, and proves the result.

`reading` turns a file into lines, `planning` turns lines into users, products, orders and
returns, `replaying` sees to it that the services hold them, `reconciling` compares what the
services answer with the plan. Nothing is remembered between two runs: every write has a natural
key (user name, sku, reference), so the services themselves know what is done already.
"""
