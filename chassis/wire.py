"""JSON as it goes over the wire: strict in, exact out.

In: UTF-8 only, no key twice, no NaN or Infinity, numbers with a point become Decimal.
Out: a Decimal is a JSON number as it stands (`29.90`), a datetime is RFC 3339 in UTC.
"""

import json
from decimal import Decimal, DecimalException

import orjson

MOST_KEYS = 100  # of one object in a request; the largest that any route declares has a dozen

_OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z


class MalformedJson(ValueError):
    """The text is not JSON, or not JSON that has one meaning only. The message says why."""


class TooManyKeys(Exception):
    """An object in a request has more than MOST_KEYS keys."""


def loads(text):
    """Parse JSON of our own making from bytes or str. Raises MalformedJson."""
    return _decode(text, _DECODER)


def loads_request(text):
    """Parse JSON of a client's making from bytes or str. Raises MalformedJson and TooManyKeys.

    A field of a request never has keys of the client's choice. Without this bound a megabyte of
    unknown keys would be validated one by one.
    """
    return _decode(text, _REQUEST_DECODER)


def _decode(text, decoder):
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        return decoder.decode(text)
    except UnicodeDecodeError as error:
        raise MalformedJson("it is not UTF-8") from error
    except RecursionError as error:
        raise MalformedJson("it is nested too deep") from error
    except DecimalException as error:
        raise MalformedJson("a number is out of range") from error
    except json.JSONDecodeError as error:
        raise MalformedJson(f"{error.msg} at line {error.lineno}, column {error.colno}") from error
    except MalformedJson:
        raise
    except ValueError as error:  # an integer of more digits than Python converts
        raise MalformedJson("a number has too many digits") from error


def dumps(value):
    """Return compact JSON as bytes. Raises TypeError on what JSON cannot hold."""
    return orjson.dumps(value, default=_other, option=_OPTIONS)


def _other(value):
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)  # flask's lazy strings, marshmallow's messages


def _unique(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        seen = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise MalformedJson(f"the key {twice[:100]!r} stands there twice")
    return found


def _few_and_unique(pairs):
    if len(pairs) > MOST_KEYS:
        raise TooManyKeys
    return _unique(pairs)


def _no_constant(name):
    raise MalformedJson(f"{name} is not a JSON number")


def _decoder(of_pairs):
    return json.JSONDecoder(
        object_pairs_hook=of_pairs, parse_float=Decimal, parse_constant=_no_constant
    )


_DECODER = _decoder(_unique)
_REQUEST_DECODER = _decoder(_few_and_unique)
