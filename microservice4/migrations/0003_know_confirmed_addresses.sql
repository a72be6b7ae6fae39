-- What older events told of counts as confirmed.
ALTER TABLE contacts ADD COLUMN email_confirmed boolean NOT NULL DEFAULT true;

ALTER TABLE notifications
    ADD COLUMN unconfirmed     boolean NOT NULL DEFAULT false,  -- the recipient, when the e-mail was written
    ADD COLUMN code            text,                            -- stands nowhere else; null once it is not to be sent
    ADD COLUMN code_expires_at timestamptz;                     -- stays, so it shows that there was a code
