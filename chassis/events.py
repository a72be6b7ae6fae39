"""CloudEvents 1.0 over HTTP, structured mode: how services tell each other what happened.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

import marshmallow as ma

from chassis.fields import AnyText, Instant, Schema, Word

CONTENT_TYPE = "application/cloudevents+json"  # one event; the parser takes a batch as well


class Facts(Schema):
    """The data of an event, as far as its reader needs it; what else it holds is let by."""

    class Meta:
        unknown = ma.EXCLUDE


class CloudEvent(Facts):
    """An event. A service subclasses it, says in `FACTS` which types it takes."""

    FACTS = {}  # {type: an instance of its Facts}

    specversion = Word("The version of CloudEvents", "1.0", ["1.0"], required=True)
    id = AnyText(
        "The same id is the same event",
        "0b7a3c0e-3f6d-4e0b-9a54-1d3f3e0f7f11",
        max=100,
        required=True,
    )
    source = AnyText("Who says it", "/microservice3", max=200, required=True)
    type = AnyText("What happened", "order.confirmed", max=100, required=True)
    subject = AnyText("What it is about", "order/7", max=200, required=True)
    time = Instant("When it happened", "2026-01-31T09:30:00Z", required=True)
    data = ma.fields.Dict(
        required=True,
        metadata={"description": "The facts, by the type of event", "example": {"order_id": 7}},
    )

    requestid = AnyText(
        "The request that it came from", "3f2a9c0de1b24c6f", max=128, load_default=None
    )
    traceparent = AnyText(
        "The W3C trace that it belongs to", "00-0af7-b7ad-01", max=64, load_default=None
    )

    @ma.post_load
    def _with_facts(self, event, **_):
        facts = self.FACTS.get(event["type"])
        if facts is None:
            raise ma.ValidationError("Nobody here takes events of this type.", "type")
        try:
            return {**event, "data": facts.load(event["data"])}
        except ma.ValidationError as error:
            raise ma.ValidationError({"data": error.messages}) from error
