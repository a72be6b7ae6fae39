-- The audit log may be pruned by the owner of the table, of what is older than two years.
CREATE FUNCTION keep_young_audit_entries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.at > now() - interval '24 months' THEN
        RAISE EXCEPTION 'the audit log is append-only for 24 months' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN OLD;
END
$$;

DROP TRIGGER audit_entries_append_only ON audit_entries;

CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_forget();

CREATE TRIGGER audit_entries_kept BEFORE DELETE ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION keep_young_audit_entries();
