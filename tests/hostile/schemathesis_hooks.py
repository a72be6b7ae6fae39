"""Who Schemathesis is: the environment names a caller and a callee, and a folder of keys."""

import os
from pathlib import Path

import schemathesis

from chassis import testing

CALLER, CALLEE = os.environ["HOSTILE_CALLER"], os.environ["HOSTILE_CALLEE"]
KEYS = Path(os.environ["HOSTILE_KEYS"])

if CALLER != "anonymous":

    @schemathesis.auth(refresh_interval=30)  # a service's token lasts 60 s
    class Token:
        def get(self, case, context):
            if CALLER == "admin":
                return testing.user_token(KEYS, 1, "admin")
            return testing.service_token(KEYS, CALLER, CALLEE)

        def set(self, case, token, context):
            case.headers["Authorization"] = f"Bearer {token}"
