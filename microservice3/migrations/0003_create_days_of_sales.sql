-- The sales report, added up by day, so that its cost follows the days and not the orders.
CREATE TABLE days_of_sales (
    date    date PRIMARY KEY,                       -- in UTC, of placed_at
    orders  bigint NOT NULL,
    units   bigint NOT NULL,
    revenue numeric(24, 2) NOT NULL
);

-- What is not added to its day yet: of each statement and day, what it has sold (+) or cancelled (-).
-- Orders only ever insert here. A total that orders update themselves would be a lock that they queue for.
CREATE TABLE sales_changes (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    date    date NOT NULL,
    orders  bigint NOT NULL,
    units   bigint NOT NULL,
    revenue numeric(24, 2) NOT NULL
);

-- Triggers, because the release that runs during the migration knows nothing of these tables.
CREATE FUNCTION note_sales_changes() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sign integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO sales_changes (date, orders, units, revenue)
    SELECT (placed_at AT TIME ZONE 'UTC')::date, sign * count(*), sign * sum(units), sign * sum(revenue)
      FROM changed
     GROUP BY 1;
    RETURN NULL;
END
$$;

CREATE TRIGGER sales_added AFTER INSERT ON sales
    REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_sales_changes();

CREATE TRIGGER sales_cancelled AFTER DELETE ON sales
    REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_sales_changes();
