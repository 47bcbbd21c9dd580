# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirtd: used as it runs, or started for the test's time. systemd is not needed."""
import os
import signal
import subprocess

from . import Timeout, wait_until

URI = "qemu:///system"
RUN = "/run"
ENVIRONMENT = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin", "LC_ALL": "C"}

# The guests are emulated. A /dev/kvm that QEMU may not open makes libvirt ask QEMU for its abilities again and again,
# a minute for each guest; so the daemons that are started here see a /dev without it.
WITHOUT_KVM = ["unshare", "--mount", "sh", "-ec", """
[ -e /dev/kvm ] || exec "$@"
dev=$(mktemp -d)
mount -t tmpfs -o mode=755 dev "$dev"
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/ptmx "$dev"
mkdir "$dev/pts" "$dev/shm"
mount --bind /dev/pts "$dev/pts"
mount --bind /dev/shm "$dev/shm"
awk '$2 ~ "^/dev/" { print $2 }' /proc/mounts | sort -r | xargs -r umount -l
mount --move "$dev" /dev
rmdir "$dev"
exec "$@"
""", "sh"]


def virsh(*arguments, check=True, timeout=300):
    """Runs virsh; returns what it prints. Raises with virsh's own words. A libvirtd that has never run a QEMU asks it
    first, once, for what it can do, which takes minutes on a machine whose /dev/kvm does not work."""
    done = subprocess.run(["virsh", "-q", "-c", URI, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=timeout, env=ENVIRONMENT, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"virsh {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def answers():
    try:
        done = subprocess.run(["virsh", "-q", "-c", URI, "version"], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=60, env=ENVIRONMENT, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def daemon_pid(name):
    """The pid in NAME.pid if a process of that name runs."""
    try:
        with open(f"{RUN}/{name}.pid", encoding="ascii") as text:
            pid = int(text.read())
        with open(f"/proc/{pid}/comm", encoding="ascii") as text:
            return pid if text.read().strip() == name else None
    except (OSError, ValueError):
        return None


class Libvirtd:
    """with Libvirtd () as daemon: ... Starts virtlogd and libvirtd only if none answers, and stops those it started."""

    def __init__(self):
        self.started = []

    def __enter__(self):
        try:
            if not answers():
                self.start("virtlogd")
                self.start("libvirtd")
            wait_until(answers, "libvirtd answers")
        except BaseException:
            self.stop_all()
            raise
        return self

    def __exit__(self, *_):
        self.stop_all()

    def start(self, name):
        if daemon_pid(name):
            return
        subprocess.run(WITHOUT_KVM + [name, "-d"], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
        wait_until(lambda: daemon_pid(name), f"{name} writes its pidfile")
        self.started.append(name)

    def stop(self, name):
        pid = daemon_pid(name)
        if pid:
            os.kill(pid, signal.SIGTERM)
            try:
                wait_until(lambda: not daemon_pid(name), f"{name} ends")
            except Timeout:
                os.kill(pid, signal.SIGKILL)
                wait_until(lambda: not daemon_pid(name), f"{name} ends")
        self.started.remove(name)

    def stop_all(self):
        for name in reversed(list(self.started)):
            self.stop(name)

    def can_restart(self):
        """A daemon of somebody else's is not ours to restart, except where systemd does it for everybody."""
        return "libvirtd" in self.started or os.path.isdir("/run/systemd/system")

    def restart(self):
        if "libvirtd" in self.started:
            self.stop("libvirtd")
            self.start("libvirtd")
        else:
            subprocess.run(["systemctl", "restart", "libvirtd"], check=True)
        wait_until(answers, "libvirtd answers")
