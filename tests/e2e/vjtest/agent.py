# SPDX-License-Identifier: LGPL-2.1-or-later
"""The agent under test, on directories of its own, and what it says of its domains."""
import collections
import contextlib
import json
import os
import signal
import socket
import subprocess
import threading

from . import BUILD, DEADLINE_S, Timeout, wait_until
from .libvirt import URI

# What a guest was given between two ticks, and between which bounds the CPU time lies that it used meanwhile.
Span = collections.namedtuple("Span", "energy_uj least_ns most_ns")


def share_bounds(spans):
    """Between which bounds the first one's share of all their CPU time lies."""
    least = spans[0].least_ns / (spans[0].least_ns + sum(span.most_ns for span in spans[1:]))
    return least, spans[0].most_ns / (spans[0].most_ns + sum(span.least_ns for span in spans[1:]))


@contextlib.contextmanager
def ledger_of(domain, resolution_uj=1000):
    """A list that grows, tick by tick, by what the ledger has for domain (), in steps of what guests get: the guest shows one
    of them, though no longer the last one when it has been long in answering."""
    figures, done = [], threading.Event()

    def watch():
        while not done.wait(0.05):
            account = domain()
            if account:
                figure = {zone: energy - energy % resolution_uj for zone, energy in account["energy_uj"].items()}
                figures.extend([figure] if figure not in figures[-1:] else [])
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield figures
    finally:
        done.set()
        thread.join()


class Agent:
    """with Agent (work, "--interval", "500ms", sysfs=...) as agent: agent.list (); agent.kill (); agent.start ()"""

    def __init__(self, work, *options, config=None, sysfs=None, uri=URI):
        self.runtime = os.path.join(work, "run")
        self.log = os.path.join(work, "agent.log")
        self.process = None
        self.arguments = [os.path.join(BUILD, "bin/virtjouled"), "--runtime-dir", self.runtime,
                          "--state-dir", os.path.join(work, "state"), "--libvirt-uri", uri, *options]
        if sysfs:
            self.arguments += ["--sysfs", sysfs]
        if config is not None:
            path = os.path.join(work, "agent.conf")
            with open(path, "w", encoding="utf-8") as out:
                out.write(config)
            self.arguments += ["--config", path]
        for directory in (self.runtime, os.path.join(work, "state")):
            os.makedirs(directory, exist_ok=True)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process:
            self.stop()

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        try:
            wait_until(self.answers, "the agent answers")
        except BaseException:
            self.kill()
            raise

    def answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"the agent ended with {self.process.returncode}: {self.words()[-2000:]}")
        return self.client("status", "--json", check=False).returncode == 0

    def end(self, number):
        self.process.send_signal(number)
        try:
            code = self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        self.process = None
        return code

    def stop(self):
        return self.end(signal.SIGTERM)

    def kill(self):
        """As kill -9: no last words."""
        return self.end(signal.SIGKILL)

    def words(self):
        with open(self.log, encoding="utf-8", errors="replace") as text:
            return text.read()

    def client(self, *arguments, check=True):
        command = [os.path.join(BUILD, "bin/virtjoule"), "--runtime-dir", self.runtime, *arguments]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S,
                              check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} ends with {done.returncode}: {done.stderr.strip()}")
        return done

    def table(self):
        return self.client("list").stdout

    def get(self, path):
        """As any client may ask; without a new process for each question."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(DEADLINE_S)
            connection.connect(os.path.join(self.runtime, "api.sock"))
            connection.sendall(b"GET %s HTTP/1.0\r\n\r\n" % path.encode())
            head, _, body = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise RuntimeError(f"{path}: {head!r}")
        return body.decode()

    def status(self):
        return json.loads(self.get("/v1/status"))

    def list(self):
        """Domains by UUID."""
        return {domain["uuid"]: domain for domain in json.loads(self.get("/v1/domains"))}

    def at_one_tick(self):
        """The status, and domains by UUID, of the same tick."""
        while True:
            before, domains, status = self.get("/v1/status"), self.get("/v1/domains"), self.status()
            if json.loads(before)["ticks"]["count"] == status["ticks"]["count"]:
                return status, {domain["uuid"]: domain for domain in json.loads(domains)}

    def ticks(self):
        """How many there have been."""
        return self.status()["ticks"]["count"]

    def wait_ticks(self, number):
        """Until so many more whole ones have been taken."""
        end = self.ticks() + number
        wait_until(lambda: self.ticks() >= end, f"{number} ticks", interval=0.02)

    def domain(self, guest):
        """The guest's account; None while the agent does not know it."""
        return self.list().get(guest.uuid)

    def wait_for(self, guest, state="open"):
        """Until the guest's channel is in this state; returns the domain."""
        def look():
            domain = self.domain(guest)
            return domain if domain and domain["channel"] and domain["channel"]["state"] == state else None
        return wait_until(look, f"{guest.name}'s channel is {state}")

    def wait_same(self, guest, resolution_uj=1000):
        """Waits until the guest shows, in every zone at once, exactly what the ledger has for it (as of one tick, in the
        resolution that guests get); returns that."""
        shown = []
        with ledger_of(lambda: self.domain(guest), resolution_uj) as figures:
            def look():
                shown.append(guest.energy())
                return next((one for one in shown[:-4:-1] if one and one in figures), None)
            try:
                return wait_until(look, f"{guest.name} shows what the ledger has")
            except Timeout as timeout:
                raise Timeout(f"{timeout}; ledger {figures[-3:]}, guest {shown[-3:]}") from None

    def sample(self, used):
        """Domains by UUID as of a tick, and what used () said shortly before that and shortly after it."""
        before, count, now = used(), self.ticks(), used()
        while self.ticks() == count:
            before, now = now, used()
        return self.at_one_tick()[1], before, used()

    def measure(self, guests, used, least_ns):
        """A Span for each guest. used () tells the guests' CPU time so far by somebody else's word, in ns; the measurement is as
        long as it takes the first of them to have used least_ns for certain, known to a twentieth."""
        first, before, after = self.sample(used)

        def look():
            last, *ends = self.sample(used)
            spans = [Span(last[guest.uuid]["energy_uj"]["package-0"] - first[guest.uuid]["energy_uj"]["package-0"],
                          ends[0][i] - after[i], ends[1][i] - before[i]) for i, guest in enumerate(guests)]
            busy = spans[0]
            return spans if busy.least_ns >= least_ns and (busy.most_ns - busy.least_ns) * 20 <= busy.least_ns else None
        return wait_until(look, f"{guests[0].name} uses {least_ns} ns")
