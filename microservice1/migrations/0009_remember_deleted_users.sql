-- Who was deleted: a number, and nothing that tells who it was. For a service that was restored alone and knows
-- no more of a deletion. Kept for ever.
CREATE TABLE deleted_users (
    user_id    bigint PRIMARY KEY,
    version    integer NOT NULL,                    -- as it was announced
    deleted_at timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION remember_deleted_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO deleted_users (user_id, version) VALUES (OLD.id, OLD.version + 1) ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;

CREATE TRIGGER users_deleted AFTER DELETE ON users
    FOR EACH ROW EXECUTE FUNCTION remember_deleted_user();
