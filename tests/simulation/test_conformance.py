"""The real code makes the moves of the model in tests/model, all of them and no others.

Triggers write down how each order, reservation and redemption moves while the simulation runs.
"""

import pytest

from chassis import testing
from chassis.settings import owner_of, with_role
from tests.model.order_saga import moves_of_one_order

SEEDS = range(101, 109)
STEPS = 40

# What a trace records, as SQL over a row; for orders (points, state, shown, given up).
_RECORDED = {
    (
        "microservice3",
        "orders",
    ): "row.redeem_points > 0, row.state, row.shown, row.refusal IS NOT NULL",
    ("microservice2", "reservations"): "row.state",
    ("microservice1", "redemptions"): "row.state",
}

# What happens to a row within one transaction, nobody else sees.
_COMMITTED = """
    SELECT DISTINCT (array_agg(before ORDER BY number))[1],
           (array_agg(after ORDER BY number DESC))[1]
      FROM trace
     GROUP BY tx, key
"""


@pytest.fixture
def trace(databases):
    """Returns a function: {(before, after)} of a service's rows, as texts, in this world."""
    for (name, table), recorded in _RECORDED.items():
        key = "id" if table == "orders" else "order_id"
        before, after = (recorded.replace("row.", f"{row}.") for row in ("OLD", "NEW"))
        testing.execute(
            with_role(databases(name), owner_of(name)),
            """
            CREATE UNLOGGED TABLE trace (
                number bigint GENERATED ALWAYS AS IDENTITY,
                tx xid8, key bigint, before text, after text
            )
            """,
            f"""
            CREATE FUNCTION trace() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO trace (tx, key, before, after) VALUES (
                    pg_current_xact_id(),
                    NEW.{key},
                    CASE WHEN TG_OP = 'UPDATE' THEN concat_ws(' ', {before}) END,
                    concat_ws(' ', {after})
                );
                RETURN NULL;
            END
            $$
            """,
            f"""
            CREATE TRIGGER trace AFTER INSERT OR UPDATE ON {table}
               FOR EACH ROW EXECUTE FUNCTION trace()
            """,
        )

    def moves(name):
        found = testing.query(databases(name), _COMMITTED)
        return {(before, after) for before, after in found if before != after}

    yield moves
    for name, table in _RECORDED:
        testing.execute(
            databases(name),
            f"DROP TRIGGER trace ON {table}",
            "DROP FUNCTION trace()",
            "DROP TABLE trace",
        )


def test_the_code_moves_as_the_model_does(world_of, trace):
    taken = {name: set() for name, _ in _RECORDED}
    for seed in SEEDS:
        world = world_of(seed)
        for _ in range(STEPS):
            world.step()
        world.heal()
        for name in taken:
            taken[name] |= trace(name)

    modelled = moves_of_one_order()
    orders = {(_order(before), _order(after)) for before, after in modelled}
    reservations = {(before.reservation, after.reservation) for before, after in modelled}
    redemptions = {(before.redemption, after.redemption) for before, after in modelled}
    assert taken["microservice3"] - orders == set()
    assert taken["microservice2"] - reservations == set()
    assert taken["microservice1"] - redemptions == set()

    missed = {move for move in orders - taken["microservice3"] if move[0] != move[1]}
    assert len(missed) < len(orders) / 4, "the simulation has become too tame to say anything"


def _order(order):
    """An order of the model, as the trigger writes it; None before it is accepted."""
    if order.state is None:
        return None
    flags = (order.points, order.state, order.shown, order.given_up)
    return " ".join(str(flag).lower()[0] if isinstance(flag, bool) else flag for flag in flags)
