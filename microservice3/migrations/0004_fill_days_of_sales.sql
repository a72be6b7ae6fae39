-- Sales of before the trigger: all sales without those that the trigger has noted, in one snapshot. So no
-- order waits, whatever is placed or cancelled meanwhile.
INSERT INTO days_of_sales AS day (date, orders, units, revenue)
SELECT date, sum(orders), sum(units), sum(revenue)
  FROM (
           SELECT (placed_at AT TIME ZONE 'UTC')::date AS date, 1 AS orders, units, revenue
             FROM sales
        UNION ALL
           SELECT date, -orders, -units, -revenue
             FROM sales_changes
        UNION ALL
           SELECT date, -orders, -units, -revenue
             FROM days_of_sales
       ) AS missing
 GROUP BY date
HAVING sum(orders) <> 0
    ON CONFLICT (date) DO UPDATE
   SET orders = day.orders + excluded.orders,
       units = day.units + excluded.units,
       revenue = day.revenue + excluded.revenue;
