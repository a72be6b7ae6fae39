-- The sales report, added up by day, so that its cost follows the days and not the orders.
CREATE TABLE days_of_sales (
    date    date PRIMARY KEY,                       -- in UTC, of placed_at
    orders  bigint NOT NULL,
    units   bigint NOT NULL,
    revenue numeric(24, 2) NOT NULL
);

-- What is not added to its day yet: a row for each sale (+1) and for each cancelled sale (-1). Orders
-- only ever insert here. A total that orders update themselves would be a lock that they queue for.
CREATE TABLE sales_changes (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    date    date NOT NULL,
    orders  integer NOT NULL,
    units   bigint NOT NULL,
    revenue numeric(12, 2) NOT NULL
);

-- A trigger, because the release that runs during the migration knows nothing of these tables.
CREATE FUNCTION note_sales_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sale  sales := coalesce(NEW, OLD);
    times integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO sales_changes (date, orders, units, revenue)
    VALUES ((sale.placed_at AT TIME ZONE 'UTC')::date, times, times * sale.units, times * sale.revenue);
    RETURN NULL;
END
$$;

CREATE TRIGGER sales_changed AFTER INSERT OR DELETE ON sales
    FOR EACH ROW EXECUTE FUNCTION note_sales_change();
