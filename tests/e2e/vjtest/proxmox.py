# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest as Proxmox VE runs it: no libvirt, the arguments of qemu-server, a pid file, and a scope of its own."""
import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import uuid

from . import BUILD, DEADLINE_S, wait_until
from .guest import COMMANDS, Guest

QEMU = "qemu-system-x86_64"
CGROUPS = "/sys/fs/cgroup"


def hierarchy():
    """The root of cgroup v2."""
    return CGROUPS if os.path.exists(f"{CGROUPS}/cgroup.controllers") else f"{CGROUPS}/unified"


class Scope:
    """qemu.slice/VMID.scope, as systemd makes it for Proxmox; nothing where cgroups cannot be made."""

    def __init__(self, vmid):
        self.slice = f"{hierarchy()}/qemu.slice"
        self.path = f"{self.slice}/{vmid}.scope"
        self.exists = False

    def make(self):
        with contextlib.suppress(OSError):
            os.makedirs(self.path, exist_ok=True)
            self.exists = os.path.exists(f"{self.path}/cgroup.procs")

    def enter(self):
        """In the child, before it becomes QEMU."""
        if self.exists:
            with open(f"{self.path}/cgroup.procs", "w", encoding="ascii") as out:
                out.write("0")

    @contextlib.contextmanager
    def helper(self):
        """A busy process beside QEMU, as swtpm and virtiofsd are there; nothing where there is no scope."""
        process = subprocess.Popen(["sh", "-c", "while :; do :; done"], preexec_fn=self.enter) if self.exists else None
        try:
            yield
        finally:
            if process is not None:
                process.kill()
                process.wait()

    def remove(self):
        for path in (self.path, self.slice):  # the slice goes with its last scope
            with contextlib.suppress(OSError):
                os.rmdir(path)


class Node:
    """What stands for a Proxmox node: its directories below work, and the executable of its QEMU."""

    def __init__(self, work, runtime):
        self.rundir = os.path.join(work, "qemu-server")
        self.pve_dir = os.path.join(work, "pve")
        self.guest_socket = os.path.join(runtime, "guest.sock")
        self.qemu = os.path.realpath(shutil.which(QEMU))
        os.makedirs(self.rundir)
        os.makedirs(os.path.join(self.pve_dir, "qemu-server"))

    def config(self, manager):
        """The agent's, for this node."""
        return (f"[agent]\nmanager = {manager}\nproxmox-rundir = {self.rundir}\npve-dir = {self.pve_dir}\n"
                f"qemu-executables = {self.qemu}\nqemu-users = any\n")


class ProxmoxGuest(Guest):
    """with ProxmoxGuest (node, image, work, 900100, "web") as guest: ... ; stop () and start () are another run.

    Its channel connects to the agent, or listens for it where a QEMU that died has left its socket."""

    def __init__(self, node, image, work, vmid, name, listens=False):
        super().__init__(image, work, name, prefix="")
        self.node = node
        self.image = image
        self.vmid = vmid
        self.uuid = str(uuid.uuid4())
        self.listens = listens
        self.scope = Scope(vmid)
        self.pid = None
        self.log = os.path.join(work, f"{vmid}-{name}.log")

    def file(self, kind):
        return os.path.join(self.node.rundir, f"{self.vmid}.{kind}")

    def channel_path(self, port):
        assert port == COMMANDS
        return self.file("test")

    def arguments(self):
        """As `qm showcmd` has them, but for the emulation, the kernel and the tests' command channel."""
        def listening(name, kind):
            return f"socket,id={name},path={self.file(kind)},server=on,wait=off"
        return [
            "/usr/bin/kvm", "-id", str(self.vmid), "-name", f"{self.name},debug-threads=on", "-no-shutdown",
            "-chardev", listening("qmp", "qmp"), "-mon", "chardev=qmp,mode=control", "-pidfile", self.file("pid"),
            "-daemonize", "-smbios", f"type=1,uuid={self.uuid}", "-smp", "1,sockets=1,cores=1,maxcpus=1", "-nodefaults",
            "-vnc", f"unix:{self.file('vnc')}", "-m", "192",
            "-device", "pci-bridge,id=pci.1,chassis_nr=1,bus=pci.0,addr=0x1e",
            "-device", "pci-bridge,id=pci.2,chassis_nr=2,bus=pci.0,addr=0x1f",
            "-device", "virtio-serial,id=qga0,bus=pci.0,addr=0x8", "-chardev", listening("qga0", "test"),
            "-device", f"virtserialport,chardev=qga0,name={COMMANDS}", "-machine", "type=pc,accel=tcg",
            # of the operator's `args`
            "-device", "virtio-serial,id=virtjoule,bus=pci.2,addr=0x1f",
            "-chardev", listening("virtjoule", "virtjoule") if self.listens else
            f"socket,id=virtjoule,path={self.node.guest_socket},reconnect=2",
            "-device", "virtserialport,bus=virtjoule.0,chardev=virtjoule,name=org.virtjoule.energy.0",
            # of the tests
            "-kernel", f"{self.image}/vmlinuz", "-initrd", f"{self.image}/initrd", "-serial", f"file:{self.log}",
            "-append", "console=ttyS0 quiet no_timer_check nowatchdog"]

    def write_conf(self):
        path = os.path.join(self.node.pve_dir, "qemu-server", f"{self.vmid}.conf")
        with open(path, "w", encoding="utf-8") as out:
            out.write(f"memory: 192\nname: {self.name}\nsmbios1: uuid={self.uuid}\n")

    def start(self):
        self.write_conf()
        self.scope.make()
        if self.listens:
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as stale:
                stale.bind(self.file("virtjoule"))
        subprocess.run(self.arguments(), executable=self.node.qemu, check=True, stdin=subprocess.DEVNULL,
                       env={**os.environ, "LD_PRELOAD": os.path.join(BUILD, "tests/qemu_id.so")},
                       preexec_fn=self.scope.enter)
        with open(self.file("pid"), encoding="ascii") as text:
            self.pid = int(text.read())
        self.connect()

    def stop(self):
        """As `qm stop`; the process has gone on return."""
        self.disconnect()
        if self.pid is None:
            return
        pidfd = os.pidfd_open(self.pid)
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGTERM)
            if not select.select([pidfd], [], [], DEADLINE_S)[0]:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                select.select([pidfd], [], [])
        finally:
            os.close(pidfd)
        self.pid = None
        self.scope.remove()

    def destroy(self):
        with contextlib.suppress(ProcessLookupError):
            self.stop()

    def cpu_us(self):
        """By the scope, else by the process."""
        if self.scope.exists:
            with open(f"{self.scope.path}/cpu.stat", encoding="ascii") as text:
                return int(text.read().split("usage_usec")[1].split()[0])
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as text:
            fields = text.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * 1_000_000 // os.sysconf("SC_CLK_TCK")
