"""The whole shop in one process: four real applications, their workers and databases, and bad luck.

Everything that happens is drawn from one seed: what clients want, which worker takes its next step,
which call is dropped, delayed, repeated or never answered, and when a process dies. So a story that
breaks a promise can be told again.
"""

import importlib
import json
from contextlib import contextmanager
from contextvars import Context
from functools import partial
from random import Random

import requests

from chassis import outbox, testing
from chassis.database import Pool, transaction
from chassis.guard import guards
from chassis.settings import SERVICES
from chassis.worker import Worker
from tests.administrators import ADMINISTRATOR

FAULTS = {
    "none": 70,
    "lost on the way": 12,
    "answer lost": 8,
    "twice": 5,
    "slow": 20,
    "refused by mistake": 15,
    "caller dies before": 2,
    "caller dies after": 3,
}
DEATHS = 0.01  # how often a process dies before a transaction, and as often right after it


class Died(BaseException):
    """The process is gone: nothing in it catches this, no answer is sent, no transaction ends."""


class BadNetwork(testing.Network):
    """Loses, repeats and slows down calls. `faithful` ends that. `sent` is all that ever was sent,
    `late` what of it has not arrived yet.

    Who is `away` gets no call, for as long as that lasts.
    """

    def __init__(self, dice, meanwhile, tell):
        super().__init__()
        self.tell = tell
        self.meanwhile = meanwhile
        self._dice = dice
        self.faithful = False
        self.away = set()
        self.sent = []
        self.late = []
        self._misread = set()

    def send(self, request, **_arguments):
        self.sent.append(request)
        fault = (
            "none" if self.faithful else self._dice.choices(*zip(*FAULTS.items(), strict=True))[0]
        )
        if not self.faithful and self._receiver(request.url)[0] in self.away:
            fault = "lost on the way"
        if self._is_misread(request, begins=fault == "refused by mistake"):
            fault = "refused by mistake"
        elif fault == "refused by mistake":
            fault = "none"  # of a step of an order, that would be an answer
        self.tell(f"  {request.method} {request.url.partition('/api/')[2]}: {fault}")
        if fault == "caller dies before":
            raise Died
        if fault == "lost on the way":
            self.late.append(request)
            raise requests.ConnectionError(fault)
        if fault == "refused by mistake":
            return _refusal()
        answer = self.deliver(request)
        if fault == "twice":
            answer = self.deliver(request)
        if fault == "slow":
            self.meanwhile(request)
        if fault == "caller dies after":
            raise Died
        if fault == "answer lost":
            raise requests.ReadTimeout(fault)
        return answer

    def _is_misread(self, request, begins):
        """A receiver that mistakes an event does so each time, alone and among others."""
        if self.faithful or request.method != "POST":
            return False
        told = json.loads(request.body)
        ids = [event["id"] for event in (told if isinstance(told, list) else [told])]
        if begins:
            self._misread.add(ids[0])
        return not self._misread.isdisjoint(ids)

    def deliver(self, request):
        """Let the neighbour have a call, whoever still waits for its answer."""
        try:
            return super().send(request)
        except Died as death:
            raise requests.ConnectionError("the neighbour died") from death


def _refusal():
    """What makes a dead letter of an event, here by a mistake of its receiver's."""
    response = requests.Response()
    response.status_code = 422
    response._content = b'{"code": "invalid"}'
    return response


class World:
    """One run. `step` lets something happen, `heal` ends all faults and lets everything finish.

    query: a function of a service's name and a statement that looks behind the API.
    """

    def __init__(self, seed, services, apps, query, keys):
        self.dice = Random(seed)
        self.query = query
        self.keys = keys
        self.services = services
        self.network = BadNetwork(self.dice, meanwhile=self._meanwhile, tell=self.tell)
        for service in services.values():
            service.http_adapter = self.network
            service.database.connection = self._mortal(partial(Pool.connection, service.database))
        self.apps = self.network.apps = apps
        self.workers = {
            name: Worker(services[name], importlib.import_module(f"{name}.worker").LANES)
            for name in SERVICES
        }
        self.answers = []  # of all orders that were tried: (what was asked, what came back or None)
        self.seen = {}  # what a client saw of each order, in order
        self.story = []
        self._waiting = 0

    def furnish(self, products=2, users=2):
        """Put a little on the shelves, and let a few customers with a few points in."""
        self.network.faithful = True
        shop, people = self.admin("microservice2"), self.admin("microservice1")
        stock = [self.dice.randint(2, 12) for _ in range(products)]
        self.products = [
            shop.post(
                "/products",
                json={"sku": f"S{n}", "name": "Lamp", "category": "c", "price": 10, "stock": units},
            ).json["id"]
            for n, units in enumerate(stock)
        ]
        self.users = [
            people.post(
                "/users",
                json={"username": f"u{n}", "email": f"u{n}@example.com", "points": 1_500},
            ).json["id"]
            for n in range(users)
        ]
        self.work_until_quiet()
        self.network.faithful = False

    def tell(self, what):
        self.story.append(what)

    def admin(self, name):
        return testing.Client(
            self.apps[name], testing.user_token(self.keys, ADMINISTRATOR, "admin")
        )

    def customer(self, user_id, name="microservice3"):
        return testing.Client(self.apps[name], testing.user_token(self.keys, user_id))

    def step(self):
        action = self.dice.choices(
            [
                self._order,
                self._cancel,
                self._move_by_hand,
                self._look,
                self._work,
                self._repeat,
                self._replay,
                self._come_or_go,
            ],
            [4, 3, 1, 2, 9, 3, 1, 1],
        )[0]
        name = action.__name__.strip("_")
        self.story.append(f"{name} ...")
        self.story.append(f"... {name}: {self._risk(action)}")

    def _risk(self, action):
        try:
            return action()
        except Died:
            return "died"

    def heal(self):
        """End all faults and let everything finish; then let what was lost arrive after all.

        What was refused by mistake is replayed last: nothing could be later.
        """
        self.network.faithful = True
        late = self.network.late
        self.dice.shuffle(late)
        self.work_until_quiet()
        for request in late:
            self.network.deliver(request)
        self.work_until_quiet()
        while self._replay():
            self.work_until_quiet()
        for order_id in list(self.seen):
            self._look(order_id)

    def work_until_quiet(self):
        for _ in range(40):
            self.time_passes()
            if not sum(testing.deliver_all(worker) for worker in self.workers.values()):
                return
        raise AssertionError("the workers find no end")

    def time_passes(self):
        """Let every lease end and every pause be over, also that of a circuit that has opened."""
        for name, service in self.services.items():
            service.guards = guards(service.settings.threads)
            self.query(name, "UPDATE outbox SET due_at = now() WHERE state = 'waiting'")

    def _order(self):
        user_id, product_id = self.dice.choice(self.users), self.dice.choice(self.products)
        asked = {
            "items": [{"product_id": product_id, "quantity": self.dice.randint(1, 3)}],
            "reference": f"R{len(self.answers)}",
        }
        if self.dice.random() < 0.5:
            asked["redeem_points"] = self.dice.choice([100, 500, 900, 5_000])
        tried = [user_id, asked, None]
        self.answers.append(tried)
        answer = self.customer(user_id).post("/orders", json=asked)
        tried[2] = answer
        if answer.status_code in (201, 202):
            self.seen[answer.json["id"]] = [answer.json["status"]]
        return f"{asked} -> {answer.status_code} {answer.json.get('code', answer.json.get('id'))}"

    def _cancel(self):
        if not self.seen:
            return "no order yet"
        some = self.dice.choice(list(self.seen))
        newest = max(self.seen)  # whoever thinks better of it does so soon, mostly
        return self._change(self.dice.choice([some, newest]), "cancelled")

    def _move_by_hand(self):
        if not self.seen:
            return "no order yet"
        wish = self.dice.choice(["shipped", "delivered"])
        return self._change(self.dice.choice(list(self.seen)), wish)

    def _change(self, order_id, status):
        answer = self.admin("microservice3").patch(f"/orders/{order_id}", json={"status": status})
        if answer.status_code in (200, 202):
            self.seen[order_id].append(answer.json["status"])
        return f"{order_id} {status} -> {answer.status_code}"

    def _look(self, order_id=None):
        if not self.seen:
            return "no order yet"
        order_id = order_id or self.dice.choice(list(self.seen))
        answer = self.admin("microservice3").get(f"/orders/{order_id}")
        if answer.status_code == 200:
            self.seen[order_id].append(answer.json["status"])
        return f"{order_id} is {answer.json.get('status')}"

    def _work(self):
        """One step of a worker that has something to do; a lease may be over or not."""
        if self.dice.random() < 0.5:
            self.time_passes()
        waiting = "SELECT DISTINCT lane FROM outbox WHERE state = 'waiting' ORDER BY lane"
        lanes = [(name, lane) for name in SERVICES for [lane] in self.query(name, waiting)]
        if not lanes:
            return "nothing waits"
        name, lane = self.dice.choice(lanes)
        with self.services[name].active():
            return f"{name} {lane}: {self.workers[name].step(lane)}"

    def _repeat(self):
        """A call of long ago arrives, late or once more."""
        if not self.network.sent:
            return "nothing was sent yet"
        request = self.dice.choice(self.network.sent)
        try:
            self.network.deliver(request)
        except requests.RequestException as silence:
            return f"{request.method} {request.url}: {silence}"
        return f"{request.method} {request.url}"

    def _replay(self):
        """An operator lets something go out after all that was refused. None: there is nothing."""
        letters = [
            (name, letter_id)
            for name in SERVICES
            for [letter_id] in self.query(name, "SELECT id FROM outbox WHERE state = 'dead'")
        ]
        if not letters:
            return None
        name, letter_id = self.dice.choice(sorted(letters))
        with self.services[name].active(), transaction() as tx:
            return f"{name}: {outbox.replay_dead_letter(tx, letter_id).subject}"

    def _meanwhile(self, request):
        """While somebody waits for an answer that is on its way, others go on.

        Some with what the answer is about: a race is what breaks rules, and rare by chance alone.
        """
        if self._waiting < 2:
            self._waiting += 1
            try:
                order = request.url.rpartition("/")[2]
                if order.isdecimal() and int(order) in self.seen and self.dice.random() < 0.5:
                    Context().run(self._risk, partial(self._change, int(order), "cancelled"))
                for _ in range(self.dice.randint(1, 3)):
                    Context().run(self.step)  # it belongs to nobody's request
            finally:
                self._waiting -= 1

    def _come_or_go(self):
        """Somebody is away for a while, or comes back."""
        self.network.away ^= {self.dice.choice(["microservice1", "microservice2"])}
        return f"away: {sorted(self.network.away)}"

    def _mortal(self, connection):
        """Processes die before a transaction or right after it, not in the midst of a statement."""

        @contextmanager
        def mortal():
            if not self.network.faithful and self.dice.random() < DEATHS:
                raise Died
            with connection() as lent:
                yield lent
            if not self.network.faithful and self.dice.random() < DEATHS:
                raise Died

        return mortal
