"""Whatever is asked of an order, in whatever order, by whomever, with neighbours up or down."""

from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.guard import guards
from microservice3.models import STATUSES

# What may follow what, as a client sees it: the diagram in microservice3/README.md.
NEXT = {
    None: {"pending"},
    "pending": {"confirmed", "cancelling", "cancelled"},
    "confirmed": {"shipped", "cancelling"},
    "shipped": {"delivered"},
    "delivered": set(),
    "cancelling": {"cancelled"},
    "cancelled": set(),
}

steps = st.lists(
    st.sampled_from(STATUSES) | st.sampled_from(["products down", "products up", "work"]),
    max_size=10,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(born_without_products=st.booleans(), steps=steps, quantity=st.integers(1, 4))
def test_an_order_keeps_to_its_way_and_its_stock_to_the_order(
    admin,
    place,
    a_product,
    stock,
    network,
    service,
    work,
    rows,
    born_without_products,
    steps,
    quantity,
):
    def come_back():
        network.down = set()
        service.guards = guards(service.settings.threads)  # as if time had passed
        rows("UPDATE outbox SET due_at = now()")
        work()

    lamp = a_product(price=10, stock=4)
    network.down = {"microservice2"} if born_without_products else set()
    order = f"/orders/{place(admin, (lamp, quantity)).json['id']}"

    for step in steps:
        if step == "products down":
            network.down = {"microservice2"}
        elif step == "products up":
            network.down = set()
        elif step == "work":
            come_back()
        else:
            assert admin.patch(order, json={"status": step}).status_code in (200, 202, 409)
    come_back()

    ended = admin.get(order).json
    changes = admin.get(f"{order}/history").json
    for change, following in zip(changes, changes[1:], strict=False):
        assert change["to"] == following["from"]
    assert all(change["to"] in NEXT[change["from"]] for change in changes)
    assert ended["status"] == changes[-1]["to"]
    stands = ended["status"] in ("confirmed", "shipped", "delivered")
    assert ended["status"] in ("confirmed", "shipped", "delivered", "cancelled")
    assert stock(lamp) == (4 - quantity if stands else 4)
    if stands:
        assert ended["total"] == Decimal(10 * quantity)
    sold = [row for row in rows("SELECT order_id FROM sales") if row[0] == ended["id"]]
    assert bool(sold) == stands
    assert rows("SELECT count(*) FROM outbox") == [(0,)]
