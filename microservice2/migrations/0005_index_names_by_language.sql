-- products_name is left to the previous release.
CREATE INDEX CONCURRENTLY IF NOT EXISTS products_name_by_language ON products (name COLLATE names, id);
