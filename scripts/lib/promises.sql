-- What the services promise of each other, asked of their databases as they were at one moment. Each row that
-- comes back is a promise that was broken: the order, if it is of one, and the words. Run in a database that
-- is thrown away, with the tables of each service in a schema of its name (host_postgres.sh).

CREATE VIEW orders AS
SELECT id AS order_id, user_id, state, redeem_points, floor(total) AS points,
       state IN ('confirmed', 'shipped', 'delivered') AS stands,
       state IN ('cancelled', 'refused') AS fell
  FROM microservice3.orders;

CREATE VIEW held AS
SELECT order_id, product_id, sum(quantity) AS quantity
  FROM microservice2.reservation_items JOIN microservice2.reservations USING (order_id)
 WHERE state = 'held'
 GROUP BY order_id, product_id;

-- An order that stands holds its stock: all of it, and no more.
SELECT order_id, format('order %s is %s: of product %s %s are ordered, %s held',
              order_id, state, product_id, coalesce(wanted.quantity, 0), coalesce(held.quantity, 0))
  FROM (SELECT order_id, product_id, sum(quantity) AS quantity
          FROM microservice3.order_items JOIN orders USING (order_id)
         WHERE stands
         GROUP BY order_id, product_id) AS wanted
  FULL JOIN (SELECT held.* FROM held JOIN orders USING (order_id) WHERE stands) AS held
       USING (order_id, product_id)
  JOIN orders USING (order_id)
 WHERE wanted.quantity IS DISTINCT FROM held.quantity;

-- One that fell, or that nobody knows, holds none.
SELECT DISTINCT order_id, format('order %s is %s, and its stock is held', order_id, coalesce(state, 'unknown'))
  FROM held LEFT JOIN orders USING (order_id)
 WHERE coalesce(fell, true);

-- The points it was paid with are taken if it stands, and given back if it fell.
SELECT order_id, format('order %s is %s: its points are %s', order_id, coalesce(orders.state, 'unknown'),
              coalesce(redemptions.state, 'not asked for'))
  FROM orders FULL JOIN microservice1.redemptions USING (order_id)
 WHERE stands AND redeem_points > 0 AND redemptions.state IS DISTINCT FROM 'redeemed'
    OR coalesce(fell, true) AND redemptions.state = 'redeemed';

-- Points are earned by what stands, and by nothing else, once its events have arrived.
SELECT order_id, format('order %s is %s: %s points are entered for it, %s are due', order_id, state, entered, due)
  FROM (SELECT order_id, state, coalesce(sum(balance), 0) AS entered,
               CASE WHEN stands THEN orders.points ELSE 0 END AS due
          FROM orders
          LEFT JOIN (SELECT order_id, balance FROM microservice1.points_entries
                      WHERE kind IN ('earned', 'reversed')) AS entries USING (order_id)
         WHERE (stands OR fell)
           AND user_id IN (SELECT id FROM microservice1.users)
           AND 'order/' || order_id NOT IN (SELECT subject FROM microservice3.outbox WHERE lane = 'microservice1')
         GROUP BY order_id, state, stands, orders.points) AS ledger
 WHERE entered <> due;

-- What a user has is the sum of the entries.
SELECT NULL, format('user %s has %s and %s points, the entries give %s and %s',
              id, points, points_balance, entered_points, entered_balance)
  FROM microservice1.users
  JOIN (SELECT user_id, sum(points) AS entered_points, sum(balance) AS entered_balance
          FROM microservice1.points_entries GROUP BY user_id) AS ledger ON user_id = id
 WHERE (points, points_balance) <> (entered_points, entered_balance);

-- What was entered into stock is what is left and what is held.
SELECT NULL, format('product %s: %s entered, %s left, %s held', id, entered, stock, quantity)
  FROM (SELECT id, stock,
               coalesce((SELECT sum(delta) FROM microservice2.stock_entries WHERE product_id = products.id), 0) AS entered,
               coalesce((SELECT sum(quantity) FROM held WHERE product_id = products.id), 0) AS quantity
          FROM microservice2.products) AS stocks
 WHERE entered <> stock + quantity;

-- Notifications knows each user as Users does, once its events have arrived.
CREATE VIEW announced AS
SELECT subject FROM microservice1.outbox WHERE state = 'waiting';

SELECT 'user/' || id, format('user %s: Notifications has no address, or another one', id)
  FROM microservice1.users LEFT JOIN microservice4.contacts ON user_id = id
 WHERE deleted IS NOT TRUE
   AND (users.username, users.email, users.email_confirmed, users.full_name)
       IS DISTINCT FROM
       (contacts.username, contacts.email, contacts.email_confirmed, contacts.full_name)
   AND 'user/' || id NOT IN (SELECT subject FROM announced);

-- One who was deleted stays so, everywhere.
SELECT 'user/' || id || '/deleted', format('user %s was deleted, and is back', id)
  FROM microservice1.users JOIN microservice4.contacts ON user_id = id
 WHERE deleted;

SELECT 'user/' || user_id, format('user %s does not exist, and Notifications does not know of it', user_id)
  FROM (SELECT user_id FROM microservice4.contacts WHERE NOT deleted
         UNION
        SELECT user_id FROM microservice1.deleted_users
         WHERE user_id NOT IN (SELECT user_id FROM microservice4.contacts)) AS known
 WHERE user_id NOT IN (SELECT id FROM microservice1.users)
   AND 'user/' || user_id NOT IN (SELECT subject FROM announced);
