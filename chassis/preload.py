"""The libraries of every service, which the master of uWSGI imports so that its workers share them.

They are most of a worker's memory and of the time that it takes to load. No code of ours is here:
a chain reload keeps the master, and its workers must load the new release.
"""

import gc
import importlib
import sys

LIBRARIES = (
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "environs",
    "flask_smorest",
    "flask_swagger_ui",
    "jwt",
    "prometheus_flask_exporter.multiprocess",
    "psycopg2.extras",
    "pythonjsonlogger.orjson",
    "requests",
)

for library in LIBRARIES:
    importlib.import_module(library)

# A worker must look into the folders of its own release, not into what the master has seen there.
sys.path_importer_cache.clear()

# The garbage collector writes to each object that it looks at, so each worker would copy them all.
gc.collect()
gc.freeze()
