from chassis import testing, wire
from chassis.worker import EventsTo, Worker
from microservice1 import worker


def test_events_go_to_notifications_and_to_nobody_else():
    lanes = [lane for lane, deliver in worker.LANES.items() if isinstance(deliver, EventsTo)]

    assert lanes == ["microservice4"]


def test_what_happens_to_a_user_is_told_in_its_order(users, a_user, admin):
    ada = a_user()
    admin.patch(f"/users/{ada.id}", json={"full_name": "Ada"})
    admin.post(f"/users/{ada.id}/points", json={"points": 60, "reason": "Gift"})
    admin.delete(f"/users/{ada.id}")
    told = []

    testing.deliver_all(Worker(users, {"microservice4": told.append}))

    events = [wire.loads(message.body) for message in told]
    assert [event["type"] for event in events] == [
        "user.registered",
        "user.updated",
        "user.promoted",
        "user.deleted",
    ]
    assert [event["data"]["version"] for event in events] == [1, 2, 3, 4]
    assert {event["subject"] for event in events} == {f"user/{ada.id}"}
