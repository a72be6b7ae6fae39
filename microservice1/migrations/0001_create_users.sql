CREATE TABLE users (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username       text NOT NULL,
    email          text NOT NULL,
    full_name      text,
    password_hash  text,                                                 -- null: cannot log in
    role           text NOT NULL DEFAULT 'customer' CHECK (role IN ('customer', 'admin')),
    points         bigint NOT NULL DEFAULT 0 CHECK (points >= 0),        -- earned in all; decides the status
    points_balance bigint NOT NULL DEFAULT 0,                            -- to spend; a reversal may take it below 0
    status         text NOT NULL DEFAULT 'Bronze' CHECK (status IN ('Bronze', 'Silver', 'Gold')),
    version        integer NOT NULL DEFAULT 1,                           -- counts every change of the row but a rehash
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now()
);

-- Shown as they were given, but the same in any case.
CREATE UNIQUE INDEX users_username_key ON users (lower(username));
CREATE UNIQUE INDEX users_email_key ON users (lower(email));

CREATE INDEX users_admins ON users (id) WHERE role = 'admin';
