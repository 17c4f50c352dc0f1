"""One random fault after the other, for as long as a soak runs."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable

from pkg.kube.stop import StopToken
from pkg.testing.faultproxy import FaultProxy
from pkg.testing.faultproxy_faults import REQUEST_KINDS, Fault, Kind
from pkg.testing.faultproxy_request import Verb

LONGEST_FAULT_SECONDS = 0.4
LONGEST_PEACE_SECONDS = 0.3
TOKEN_SECONDS = 12.0  # a client reads its token again at most every 10 seconds
LISTS, WATCHES = frozenset({Verb.LIST}), frozenset({Verb.WATCH})
REFUSALS = ((410, "Expired"), (429, "TooManyRequests"), (500, "InternalError"), (503, "ServiceUnavailable"))
LIST_KINDS = (
    Kind.REFUSE,
    Kind.HANG,
    Kind.STATUS,
    Kind.CUT,
    Kind.HALF_CLOSE,
    Kind.DRIP,
    Kind.TRUNCATE,
    Kind.GARBAGE,
    Kind.OLD_LIST,
)
WATCH_KINDS = (
    Kind.REFUSE,
    Kind.HANG,
    Kind.STATUS,
    Kind.OLD_VERSION,
    Kind.CUT,
    Kind.TEAR,
    Kind.CLOSE,
    Kind.HALF_CLOSE,
    Kind.STALL,
    Kind.DRIP,
    Kind.GARBAGE,
    Kind.TRUNCATE,
    Kind.COALESCE,
    Kind.ERROR,
    Kind.REPLAY,
)


def random_fault(dice: random.Random, path: str) -> Fault:
    """Any fault of lists or watches; an old list only once, because one that comes again and again is believed."""
    verbs = dice.choice((LISTS, WATCHES, WATCHES))
    kind = dice.choice(LIST_KINDS if verbs is LISTS else WATCH_KINDS)
    code, reason = dice.choice(REFUSALS)
    return Fault(
        kind=kind,
        verbs=verbs,
        path=path,
        times=1 if kind is Kind.OLD_LIST else dice.choice((0, 1, 1, 3)),
        after_lines=dice.choice((0, 0, 1, 5)) if verbs is WATCHES else 0,
        code=code,
        reason=reason,
        retry_after_seconds=dice.choice((0, 2)) if code == 429 else 0,
    )


class Chaos:
    """A thread that switches faults on and off, drops connections, rotates the certificate and expires tokens.

    Args:
        renew: writes a new token where the client reads it and returns the one before; None where there is none.
    """

    def __init__(self, proxy: FaultProxy, path: str, dice: random.Random, renew: Callable[[], str] | None) -> None:
        self._proxy = proxy
        self._path = path
        self._dice = dice
        self._renew = renew
        self.faults: Counter[str] = Counter()
        self.hits: Counter[str] = Counter()

    def start(self, stop: StopToken) -> list[threading.Thread]:
        """Starts; both threads end with the token."""
        runs = [self._run, self._expire] if self._renew else [self._run]
        threads = [threading.Thread(target=run, args=(stop,), name="chaos", daemon=True) for run in runs]
        for thread in threads:
            thread.start()
        return threads

    def _run(self, stop: StopToken) -> None:
        while not stop.wait(self._dice.uniform(0, LONGEST_PEACE_SECONDS)):
            match self._dice.randrange(12):
                case 0:
                    self._proxy.drop_connections()
                    self.faults["dropped connections"] += 1
                case 1:
                    self._proxy.rotate_certificate()
                    self.faults["rotated certificate"] += 1
                case _:
                    self._fault(stop)

    def _fault(self, stop: StopToken) -> None:
        fault = random_fault(self._dice, self._path)
        with self._proxy.switch_on(fault) as switch, self._proxy.switch_on(self._provocation(fault)):
            stop.wait(self._dice.uniform(0.05, LONGEST_FAULT_SECONDS))
        name = f"{fault.kind} {'list' if fault.verbs is LISTS else 'watch'}"
        self.faults[name] += 1
        self.hits[name] += switch.hits

    def _provocation(self, fault: Fault) -> Fault:
        """What makes clients ask while the fault is there to meet them: they list, or open their watch again."""
        if fault.verbs is LISTS:
            return Fault(kind=Kind.ERROR, verbs=WATCHES, path=self._path, times=3, code=410, reason="Expired")
        asks = fault.kind in REQUEST_KINDS
        return Fault(kind=Kind.CLOSE, verbs=WATCHES, path=self._path if asks else "nothing", times=3)

    def _expire(self, stop: StopToken) -> None:
        everything = LISTS | WATCHES
        while self._renew is not None and not stop.wait(TOKEN_SECONDS):
            expired = self._renew()
            self._proxy.switch_on(
                Fault(kind=Kind.STATUS, code=401, reason="Unauthorized", verbs=everything, token=expired)
            )
            self.faults["expired token"] += 1
