"""Images of products: a file each, which Nginx serves."""

from chassis import audit
from chassis.database import transaction
from chassis.errors import NotFound, present
from chassis.image_store import ImageStore, StorageFailed
from chassis.service import current
from microservice2 import database


def put_image(product_id, expected, stream):
    """Give a product its image, or another one. Returns (product, the image's tag).

    expected: a chassis.conditional.Expected. Raises NotFound, PreconditionFailed, NotAnImage or
    StorageFailed; then the image that was there is there still.
    """
    store = image_store()
    with store.receive(stream) as image, transaction() as tx:
        present(database.lock_product(tx, product_id))
        expected.check(store.tag(product_id))
        product = database.update_image(tx, product_id, has_image=True)
        audit.record(tx, "image.replaced", f"product/{product_id}")
        return product, store.put(product_id, image, product.version)


def delete_image(product_id, expected):
    """Remove a product's image. Raises NotFound, PreconditionFailed or StorageFailed."""
    store = image_store()
    with transaction() as tx:
        if not present(database.lock_product(tx, product_id)).has_image:
            raise NotFound
        expected.check(store.tag(product_id))
        database.update_image(tx, product_id, has_image=False)
        audit.record(tx, "image.deleted", f"product/{product_id}")
        store.remove(product_id)


def refuse_image(product_id):
    """Say why there is no image to be had. Raises NotFound."""
    with transaction() as tx:
        present(database.find_product(tx, product_id))
    raise NotFound("This product has no image")


def remove_left_images():
    """Remove what crashes have left in the folder of images: no product shows it."""
    store = image_store()
    store.remove_left_overs()
    numbers = store.numbers()
    with transaction() as tx:
        shown = set(database.list_ids_with_image(tx, numbers))
    for number in set(numbers) - shown:
        with transaction() as tx:
            product = database.lock_product(tx, number)
            if product is None or not product.has_image:
                store.remove(number)


def image_store():
    """Return the store of images. Raises StorageFailed if the settings name no folder."""
    folder = current().settings.images_dir
    if folder is None:
        raise StorageFailed("IMAGES_DIR is not set")
    return ImageStore(folder)
