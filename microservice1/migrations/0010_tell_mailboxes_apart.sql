-- The canonical form of an address that is not ASCII (chassis/mailboxes.py); an ASCII address is its own in lower
-- case, and has null here. Null for all others: an older release entered it, and scripts/normalise computes it.
ALTER TABLE users ADD COLUMN email_key text;
