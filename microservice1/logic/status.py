"""Status: what the points that somebody has earned in all make of them."""

from microservice1.models import STATUSES


def status_for(points):
    if points > 100:
        return "Gold"
    if points > 50:
        return "Silver"
    return "Bronze"


def is_rise(before, after):
    return STATUSES.index(after) > STATUSES.index(before)
