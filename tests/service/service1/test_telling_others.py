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


def test_edits_that_wait_are_told_as_one_unless_another_event_stands_between(
    users, a_user, admin, announced
):
    ada = a_user()

    for number in range(20):
        admin.patch(f"/users/{ada.id}", json={"full_name": f"Ada {number}"})
    admin.post(f"/users/{ada.id}/points", json={"points": 60, "reason": "Gift"})
    for _ in range(20):
        admin.patch(f"/users/{ada.id}", json={"full_name": "Ada"})
        admin.patch(f"/users/{ada.id}", json={"full_name": "Lovelace"})

    assert [(event, facts["full_name"], facts["version"]) for event, facts in announced()] == [
        ("user.registered", ada.full_name, 1),
        ("user.updated", "Ada 19", 21),
        ("user.promoted", "Ada 19", 22),
        ("user.updated", "Lovelace", 62),
    ]
