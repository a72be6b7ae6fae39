-- What administrators and services have written: who, what, when, by which request. Rows are only
-- ever added; the database refuses all else, also to this service's own role.
CREATE TABLE audit_entries (
    id         bigint GENERATED ALWAYS AS IDENTITY,
    at         timestamptz NOT NULL DEFAULT now(),
    actor      text NOT NULL,                       -- user:7 or service:microservice3
    action     text NOT NULL,                       -- product.created
    subject    text NOT NULL,                       -- product/7
    request_id text NOT NULL,
    PRIMARY KEY (at, id)
);

CREATE INDEX audit_entries_actor ON audit_entries (actor, at, id);

CREATE FUNCTION refuse_to_forget() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_forget();
