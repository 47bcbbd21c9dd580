# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest in software emulation, booted directly from an image, with a command channel into it."""
import base64
import os
import re
import secrets
import select
import socket
import time
import uuid
import xml.etree.ElementTree as ElementTree

from . import DEADLINE_S, TOP, Timeout
from .libvirt import virsh

PORT = "org.virtjoule.energy.0"
COMMANDS = "org.virtjoule.test.0"
TREE = "/run/virtjoule/sys/class/powercap"
# A command without an answer is sent again, and the guest answers it without running it again (images/command-loop): a port
# loses what is under way when either side closes it.
RESEND_S = 30
CHANNEL = f"<channel type='unix'><target type='virtio' name='{PORT}'/></channel>"


def connect_channel(runtime):
    """The other way round, as it is installed, but for the agent's runtime directory."""
    with open(os.path.join(TOP, "data/channel-connect.xml"), encoding="utf-8") as text:
        return text.read().replace("/run/virtjoule", runtime)


# An emulated machine that waits for its turn looks broken to the kernel: no_timer_check, nowatchdog.
DOMAIN = """<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>{memory}</memory>
  <vcpu>{vcpus}</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{image}/vmlinuz</kernel>
    <initrd>{image}/initrd</initrd>
    <cmdline>console=ttyS0 quiet no_timer_check nowatchdog {options}</cmdline>
  </os>
  <features><acpi/></features>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <serial type='file'><source path='{log}'/></serial>
    <channel type='unix'><target type='virtio' name='{commands}'/></channel>
    {channel}
  </devices>
</domain>
"""


def parse_energies(text):
    """{zone id: µJ} of the names and counters of a tree, as grep -H prints them."""
    values = dict(re.findall(r"^(intel-rapl:[\d:]+/(?:name|energy_uj)):(\S+)$", text, re.M))
    names = {key.split("/")[0]: value for key, value in values.items() if key.endswith("/name")}
    energies = {}
    for zone, name in names.items():
        parent = names.get(zone.rsplit(":", 1)[0])
        if f"{zone}/energy_uj" in values:
            energies[f"{parent}/{name}" if parent else name] = int(values[f"{zone}/energy_uj"])
    return energies


class Guest:
    """with Guest (image, work, "one") as guest: guest.wait_up () ; guest.run ("cat /proc/loadavg")

    Transient: the domain is gone with its QEMU. work is a directory that QEMU can look into. channel: whether there is one,
    or its XML."""

    def __init__(self, image, work, name, memory=192, vcpus=1, options="", channel=True,
                 prefix=f"vjtest-{os.getpid()}-"):
        self.name = prefix + name
        self.uuid = str(uuid.uuid4())
        self.log = os.path.join(work, f"{name}.log")
        self.work = work
        self.definition = DOMAIN.format(name=self.name, uuid=self.uuid, memory=memory, vcpus=vcpus, image=image,
                                        options=options, log=self.log, commands=COMMANDS,
                                        channel={True: CHANNEL, False: ""}.get(channel, channel))
        self.socket = None
        self.pending = b""

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.destroy()
            raise
        return self

    def __exit__(self, *_):
        self.destroy()

    def start(self):
        virsh("create", self.write("domain.xml", self.definition))
        self.connect()

    def destroy(self):
        self.disconnect()
        virsh("destroy", self.name, check=False)

    def write(self, name, text):
        path = os.path.join(self.work, f"{self.name}-{name}")
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return path

    def channel(self, port):
        """The element of the live definition; None if there is no such port."""
        channels = ElementTree.fromstring(virsh("dumpxml", self.name)).iter("channel")
        return next((channel for channel in channels if channel.find("target").get("name") == port), None)

    def channel_path(self, port):
        """The host's end of a port that is there."""
        return self.channel(port).find("source").get("path")

    def plug(self, channel=CHANNEL):
        virsh("attach-device", self.name, self.write("channel.xml", channel), "--live")

    def unplug(self):
        """Asks for it; the port is gone when channel () says so. libvirt wants the whole element, path and all."""
        live = ElementTree.tostring(self.channel(PORT), encoding="unicode")
        virsh("detach-device", self.name, self.write("channel.xml", live), "--live")

    def connect(self):
        """Opens the command channel; needed again after save and restore, which make a new QEMU."""
        self.disconnect()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(self.channel_path(COMMANDS))

    def disconnect(self):
        if self.socket:
            self.socket.close()
        self.socket = None
        self.pending = b""

    def receive_line(self, deadline):
        """Its words; [] after the deadline."""
        while b"\n" not in self.pending:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                return []
            received = self.socket.recv(65536)
            if not received:
                raise RuntimeError(f"{self.name} has gone; its console: {self.console()[-2000:]}")
            self.pending += received
        line, self.pending = self.pending.split(b"\n", 1)
        return line.decode("ascii", "replace").split(" ")

    def receive_answer(self, number, deadline):
        """(exit code, output) of that command; None after the deadline. Others' and halves of lines are left behind."""
        while words := self.receive_line(deadline):
            if words[0] == number and len(words) == 3:
                return int(words[1]), base64.b64decode(words[2]).decode("utf-8", "replace")
        return None

    def run(self, commands, timeout=DEADLINE_S):
        """Runs shell commands in the guest; returns (exit code, what they printed)."""
        number = secrets.token_hex(8)
        line = f"{number} {base64.b64encode(commands.encode()).decode()}\n".encode()
        deadline = time.monotonic() + timeout
        while True:
            self.socket.sendall(line)
            answer = self.receive_answer(number, min(deadline, time.monotonic() + RESEND_S))
            if answer:
                return answer
            if time.monotonic() > deadline:
                raise Timeout(f"{self.name} does not answer; its console: {self.console()[-2000:]}")

    def check(self, commands, timeout=DEADLINE_S):
        """As run, for what must succeed; returns what was printed."""
        code, output = self.run(commands, timeout)
        if code != 0:
            raise RuntimeError(f"in {self.name}: {commands!r} ends with {code}: {output}")
        return output

    def write_file(self, path, text):
        """Into the guest."""
        self.check(f"base64 -d >{path} <<END\n{base64.b64encode(text.encode()).decode()}\nEND\n")

    def wait_up(self, timeout=2 * DEADLINE_S):
        """What is sent before the guest listens waits in its port."""
        self.check("true", timeout)

    def console(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as text:
                return text.read()
        except OSError:
            return ""

    def load(self):
        """One vCPU's worth of work in the background, until unload ()."""
        self.check("(while :; do :; done) >/dev/null 2>&1 & echo $! >/tmp/load.pid")

    def unload(self):
        self.check("kill $(cat /tmp/load.pid) && rm /tmp/load.pid")

    def energy(self, tree=TREE):
        """The tree as the guest sees it: {zone id: µJ}, {} while there is none. Sub-zones are "package-0/core"."""
        _, text = self.run(f"cd {tree} 2>/dev/null && grep -H . intel-rapl:*/name intel-rapl:*/energy_uj")
        return parse_energies(text)

    def stop_reader(self, signal="TERM"):
        self.check(f"kill -{signal} $(pidof virtjoule-reader) && while pidof virtjoule-reader >/dev/null; do sleep 0.1; done")

    def start_reader(self, options=""):
        self.check(f"virtjoule-reader {options} >>/run/reader.log 2>&1 &")
