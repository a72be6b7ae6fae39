"""Collations: ICU brings the rules that sort names, and a new ICU may bring others."""


def count_outdated(tx):
    """Return how many of the service's collations have rules newer than those of its indexes.

    Such an index may miss rows and accept duplicates until it is built again; docs/runbook.md says
    how. PostgreSQL knows the version of ICU alone: it has none for C.UTF-8.
    """
    return tx.value(
        """
        SELECT count(*)
          FROM pg_collation
         WHERE collnamespace = 'public'::regnamespace
           AND collversion <> pg_collation_actual_version(oid)
        """
    )
