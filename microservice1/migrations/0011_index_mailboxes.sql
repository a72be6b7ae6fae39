-- One account for each mailbox, however it is spelled. users_email_key is left to the previous release.
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS users_mailbox_key ON users (coalesce(email_key, lower(email)));
