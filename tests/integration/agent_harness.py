# SPDX-License-Identifier: LGPL-2.1-or-later
"""A virtjouled on temporary roots: a powercap tree that the test writes, domains of libvirt's test driver."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

BIN = os.environ.get("VJ_BIN", "build/bin")
TIMEOUT = 120


def wait_for(condition, what, timeout=TIMEOUT):
    """Polls until condition() is true; a deadline, not a measurement."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError("waited in vain for " + what)


def stand_still(process):
    """From its return on, it uses no CPU time at all."""
    process.send_signal(signal.SIGSTOP)

    def has_stopped():
        with open("/proc/%d/stat" % process.pid) as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "T"
    wait_for(has_stopped, "the process to stop")


def cpu_s(process):
    """What it has used so far, by its clock."""
    return time.clock_gettime((~process.pid << 3) | 2)  # clock_getcpuclockid (3)


def memory_directory():
    """A tmpfs, as /run is: the agent writes there at every tick, and a disk that is busy would hold it up."""
    return "/dev/shm" if os.path.ismount("/dev/shm") else None


class Powercap:
    """A flat powercap tree below <root>/class/powercap whose counters the test moves."""

    def __init__(self, root):
        self.directory = os.path.join(root, "class", "powercap")
        os.makedirs(self.directory)

    def _path(self, zone, name):
        return os.path.join(self.directory, zone, name)

    def _write(self, zone, name, text):
        with open(self._path(zone, name), "w") as out:
            out.write(text)

    def add(self, zone, name, energy_uj=1000000, range_uj=262143328850):
        os.mkdir(os.path.join(self.directory, zone))
        self._write(zone, "name", name + "\n")
        self._write(zone, "max_energy_range_uj", "%d\n" % range_uj)
        self._write(zone, "energy_uj", "%020d\n" % energy_uj)

    def set(self, zone, energy_uj):
        """In place, because the fd stays open, and of one length, so that no reader sees a part."""
        fd = os.open(self._path(zone, "energy_uj"), os.O_WRONLY)
        try:
            os.pwrite(fd, b"%020d\n" % energy_uj, 0)
        finally:
            os.close(fd)

    def hide(self, zone):
        os.truncate(self._path(zone, "energy_uj"), 0)
        os.rename(self._path(zone, "energy_uj"), self._path(zone, "hidden"))

    def show(self, zone, energy_uj):
        os.rename(self._path(zone, "hidden"), self._path(zone, "energy_uj"))
        self.set(zone, energy_uj)


class Host:
    """Temporary roots and at most one agent on them."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="vj-agent-", dir=memory_directory())
        self.sys = os.path.join(self.root, "sys")
        self.run = os.path.join(self.root, "run")
        self.rundir = os.path.join(self.root, "libvirt")
        self.powercap = Powercap(self.sys)
        self.process = None
        os.mkdir(self.rundir)

    def command(self, *options, uri="none", interval="100ms"):
        return [
            os.path.join(BIN, "virtjouled"), "--sysfs", self.sys, "--runtime-dir", self.run,
            "--state-dir", os.path.join(self.root, "state"), "--libvirt-uri", uri,
            "--libvirt-rundir", self.rundir, "--interval", interval, *options,
        ]  # fmt: skip

    def start(self, *options, shell="exec ", **settings):
        """shell: what a shell does before it becomes the agent."""
        self.log = open(os.path.join(self.root, "log"), "a+")
        command = ["sh", "-c", shell + '"$@"', "sh", *self.command(*options, **settings)]
        self.process = subprocess.Popen(command, stderr=self.log)
        wait_for(self.answers, "the agent's first tick; it says: " + self.said())

    def run_to_end(self, *options, **settings):
        return subprocess.run(
            self.command(*options, **settings), capture_output=True, text=True, timeout=TIMEOUT, check=False
        )

    def said(self):
        with open(os.path.join(self.root, "log")) as log:
            return log.read()

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError("the agent has ended: " + self.said())
        with contextlib.suppress(OSError, ValueError, KeyError):
            return self.status()["ticks"]["count"] > 0
        return False

    def get(self, path):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(os.path.join(self.run, "api.sock"))
            connection.sendall(b"GET %s HTTP/1.0\r\n\r\n" % path.encode())
            reply = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, body = reply.partition(b"\r\n\r\n")
        assert b" 200 " in head.split(b"\r\n")[0], head
        return body.decode()

    def status(self):
        return json.loads(self.get("/v1/status"))

    def list(self):
        return {domain["name"]: domain for domain in json.loads(self.get("/v1/domains"))}

    def zone(self, name):
        return {zone["id"]: zone for zone in self.status()["zones"]}[name]

    def after_ticks(self, n=2):
        """The status once n more whole ticks have been taken."""
        target = self.status()["ticks"]["count"] + n
        wait_for(lambda: self.status()["ticks"]["count"] >= target, "%d ticks" % n)
        return self.status()

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        code = self.process.wait(timeout=TIMEOUT)
        self.process = None
        self.log.close()
        return code

    def close(self):
        if self.process is not None:
            self.end(signal.SIGKILL)
        shutil.rmtree(self.root)


class TestDriver:
    """Running domains of libvirt's test driver, named in a file; each may have a process, told by its pidfile."""

    def __init__(self, host):
        self.host = host
        self.path = os.path.join(host.root, "node.xml")
        self.uri = "test://" + self.path
        self.domains = []
        self.processes = []

    def add(self, name, process=None, channel=None, metadata=""):
        number = len(self.domains) + 1
        device = ""
        if channel is not None:
            device = (
                "<channel type='unix'><source mode='bind' path='%s'/>"
                "<target type='virtio' name='org.virtjoule.energy.0'/></channel>" % channel
            )
        self.domains.append(
            "<domain type='test'><name>%s</name><uuid>%032x</uuid>%s<memory>65536</memory><os><type>hvm</type></os>"
            "<devices>%s</devices></domain>" % (name, number, metadata, device)
        )
        if process is not None:
            with open(os.path.join(self.host.rundir, name + ".pid"), "w") as pidfile:
                pidfile.write("%d\n" % process.pid)
        with open(self.path, "w") as xml:
            xml.write("<node>%s</node>" % "".join(self.domains))

    def burn(self):
        """A process that uses one CPU."""
        process = subprocess.Popen(["sh", "-c", "while :; do :; done"])
        self.processes.append(process)
        return process

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()
