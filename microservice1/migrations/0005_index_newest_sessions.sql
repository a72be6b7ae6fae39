-- The newest sessions of a user, without reading the others.
CREATE INDEX CONCURRENTLY IF NOT EXISTS sessions_newest ON sessions (user_id, id);
