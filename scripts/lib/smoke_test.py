"""What a first customer does, through Nginx: register, find a product, order it, read the e-mail.

Usage: smoke_test.py BASE_URL MAIL_FOLDER    with an administrator's token on standard input

Customer, product and order stay in the shop; try_order.py leaves nothing. Without a folder ("")
e-mails go to a mail server, and are not looked for.
"""

import secrets
import sys
import time
from pathlib import Path

from shop import Shop, await_confirmed, place, register

SKU = "WELCOME-LAMP"
MAIL_SECONDS = 15


def a_product_in_stock(shop, admin):
    for product in shop.call("GET", f"/api/service2/products?sku={SKU}"):
        if product["stock"] == 0:
            more = {"delta": 100, "reason": "sold out"}
            return shop.call("POST", f"/api/service2/products/{product['id']}/stock", more, admin)
        return product
    lamp = {"sku": SKU, "name": "Lamp", "category": "Welcome", "price": 29.90, "stock": 100}
    return shop.call("POST", "/api/service2/products", lamp, admin)


def await_mail(folder, recipient, order_id):
    deadline = time.monotonic() + MAIL_SECONDS
    while time.monotonic() < deadline:
        for mail in folder.glob("*-order.confirmed.eml"):
            text = mail.read_text(errors="replace")
            if recipient in text and str(order_id) in text:
                return mail
        time.sleep(0.1)
    sys.exit(f"Smoke test: no e-mail about order {order_id} to {recipient} in {folder}.")


def main(base_url, mail_folder):
    shop = Shop(base_url)
    admin = sys.stdin.read().strip()

    print("\nA first order, through Nginx:")
    name = f"visitor-{secrets.token_hex(4)}"
    user, token = register(shop, admin, name, f"{name}@example.com")
    print(f"  registered    {user['username']}")
    product = a_product_in_stock(shop, admin)
    print(f"  product       {product['name']}, {product['price']:.2f} {product['currency']}")
    placed = await_confirmed(shop, place(shop, product, token), token)
    print(f"  ordered       order {placed['id']}, {placed['total']:.2f} {placed['currency']}")
    if mail_folder:
        print(f"  e-mail        {await_mail(Path(mail_folder), user['email'], placed['id'])}")


if __name__ == "__main__":
    main(*sys.argv[1:])
