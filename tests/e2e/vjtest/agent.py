# SPDX-License-Identifier: LGPL-2.1-or-later
"""The agent under test, on directories of its own, and what its command line says."""
import json
import os
import signal
import subprocess

from . import BUILD, Timeout, wait_until
from .libvirt import URI


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
            wait_until(self.answers, "the agent answers", 30)
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
            code = self.process.wait(30)
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
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} ends with {done.returncode}: {done.stderr.strip()}")
        return done

    def table(self):
        return self.client("list").stdout

    def status(self):
        return json.loads(self.client("status", "--json").stdout)

    def list(self):
        """Domains by UUID."""
        return {domain["uuid"]: domain for domain in json.loads(self.client("list", "--json").stdout)}

    def domain(self, guest):
        """The guest's account; None while the agent does not know it."""
        return self.list().get(guest.uuid)

    def wait_for(self, guest, state="open", seconds=60):
        """Until the guest's channel is in this state; returns the domain."""
        def look():
            domain = self.domain(guest)
            return domain if domain and domain["channel"] and domain["channel"]["state"] == state else None
        return wait_until(look, f"{guest.name}'s channel is {state}", seconds)

    def wait_same(self, guest, resolution_uj=1000, seconds=60):
        """Waits until the guest shows, in every zone at once, exactly what the ledger has for it (as of one tick, in the
        resolution that guests get); returns that. A guest whose energy moves all the time is a tick behind, so what the
        ledger had a moment ago counts as well."""
        seen = []

        def look():
            domain = self.domain(guest)
            if domain:
                seen.append({zone: energy - energy % resolution_uj for zone, energy in domain["energy_uj"].items()})
            inside = guest.energy()
            return inside if inside and inside in seen[-20:] else None
        try:
            return wait_until(look, f"{guest.name} shows what the ledger has", seconds)
        except Timeout as timeout:
            raise Timeout(f"{timeout}; ledger {seen[-3:]}, guest {guest.energy()}") from None
