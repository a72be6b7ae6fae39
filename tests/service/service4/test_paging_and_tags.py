"""Notifications behind a cursor, and their tags."""


def test_notifications_come_behind_a_cursor_each_once(rows, pages, admin, user_event):
    for user_id in range(1, 8):
        user_event("user.registered", user_id)
    # ties, and moments that differ by a microsecond
    rows(
        """
        UPDATE notifications
           SET created_at = '2026-01-31T09:30:00Z'::timestamptz + id / 3 * interval '1 us'
        """
    )

    walk = pages(admin, "/notifications", limit=2)
    seen = [entry["id"] for entry in next(walk)]
    user_event("user.registered", 8)  # newer than all: not for this walk
    rows("DELETE FROM notifications WHERE id = ANY(%(gone)s)", gone=[6, 3])
    rest = [[entry["id"] for entry in page] for page in walk]

    assert [seen, *rest] == [[7, 6], [5, 4], [2, 1]]


def test_customers_walk_through_their_own(pages, customer, user_event, order_event):
    user_event("user.registered", 7)
    user_event("user.registered", 8)
    order_event("order.confirmed", order_id=12, user_id=7)

    walked = list(pages(customer, "/notifications", limit=1))

    assert [entry["user_id"] for (entry,) in walked] == [7, 7]


def test_a_notification_has_a_tag_until_something_becomes_of_it(rows, customer, user_event):
    user_event("user.registered", 7)
    answer = customer.get("/notifications/1")
    has = {"If-None-Match": answer.headers["ETag"]}

    again = customer.get("/notifications/1", headers=has)
    assert (again.status_code, again.data) == (304, b"")

    rows("UPDATE notifications SET status = 'sent', sent_at = now()")
    assert customer.get("/notifications/1", headers=has).json["status"] == "sent"
