"""What a service may do in its own database: read and write rows, and nothing else.

Tables belong to an owner, `microservice2_owner`, by whom migrations connect and no process of a
service. So a service can replace no table by a view, and can add no function, trigger or constraint
that runs with the rights of the next who asks. `chassis.migrate` gives these rights each time.
"""

_ROWS = {"SELECT", "INSERT", "UPDATE", "DELETE"}
_FEWER = {
    "audit_entries": {"SELECT", "INSERT"},
    "schema_migrations": {"SELECT"},
}


def missing_rights(cursor, role):
    """Return {table: its wanted privileges} for each table of which `role` has others.

    cursor: of psycopg2. A partition wants none: its rows are reached through the whole table.
    """
    cursor.execute(
        """
        SELECT table_.relname, table_.relispartition,
               ARRAY(
                   SELECT privilege_type
                     FROM aclexplode(table_.relacl) AS granted
                    WHERE grantee = %(role)s::regrole
               )
          FROM pg_class AS table_
         WHERE relnamespace = 'public'::regnamespace
           AND relkind IN ('r', 'p')
        """,
        {"role": role},
    )
    wanted = {
        table: (set() if is_partition else _FEWER.get(table, _ROWS), set(held))
        for table, is_partition, held in cursor.fetchall()
    }
    return {table: rights for table, (rights, held) in wanted.items() if rights != held}


def grant_beforehand(cursor, role):
    """Let `role` use what the connected owner will make, from the moment at which it is there."""
    cursor.execute(
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT {_listed(_ROWS)} ON TABLES TO {role}"
    )


def grant_exactly(cursor, role):
    """Give `role` the rights that it is to have on each table. Returns the tables that changed."""
    changed = missing_rights(cursor, role)
    for table, rights in changed.items():
        cursor.execute("BEGIN")
        cursor.execute(f'REVOKE ALL ON "{table}" FROM {role}')
        if rights:
            cursor.execute(f'GRANT {_listed(rights)} ON "{table}" TO {role}')
        cursor.execute("COMMIT")
    return sorted(changed)


def _listed(privileges):
    return ", ".join(sorted(privileges))
