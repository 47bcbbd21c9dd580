# SPDX-License-Identifier: LGPL-2.1-or-later
"""What kubelet and a container runtime do to a guest of the "node" image: pods and containers, real ones, placed and named
as they would be. No registry is asked: a container's root is busybox, and the guest's /usr where it asks for it."""
import json
import secrets
import uuid

from . import wait_until
from .guest import TREE

PORT = 9178
UNIT = "virtjoule-attributor.service"
ROOT = "/run/node/root"
# The root of an initramfs cannot be pivoted away.
RUNC = """#!/bin/sh
n=$#
for word; do
  set -- "$@" "$word"
  [ "$word" != create ] || set -- "$@" --no-pivot
done
shift $n
exec runc "$@"
"""
# look.pl PORT PATTERN..: files line by line as grep -H prints them, the attributor's document of an interval that ends after that,
# soon after it ended, and the same files once more.
LOOK = """
use strict;
use IO::Socket::INET;
my $port = shift;
sub text { open (my $file, '<', $_[0]) or return ''; local $/; <$file> // '' }
sub files { join ('', map { my $path = $_; map { "$path:$_\\n" } split (/\\n/, text ($path)) } map { glob } @ARGV) }
sub generation { join (' ', (stat ('%s/../generation'))[1, 9]) }
sub nap { select (undef, undef, undef, 0.05) }
sub document {
  my $socket = IO::Socket::INET->new (PeerAddr => "127.0.0.1:$port") or die "nobody listens: $!";
  print $socket "GET /v1/energy HTTP/1.0\\r\\n\\r\\n";
  local $/;
  <$socket>;
}
sub intervals { $_[0] =~ /"intervals" *: *(\\d+)/ or die "no document: $_[0]"; $1 }
chdir ('%s');
my $before = files ();
my $answer = document ();
my ($past, $last) = (intervals ($answer), generation ());
for (1 .. 100) {
  last if generation () ne $last;
  nap ();
}
for (1 .. 4000) {
  $answer = document ();
  last if intervals ($answer) > $past;
  nap ();
}
die "no interval ends" if intervals ($answer) <= $past;
print $before, "----\\n", $answer, "----\\n", files ();
""" % (TREE, TREE)


class Container:
    """Runs command from now on. early: kubelet's links are there before it starts, else name () makes them."""

    def __init__(self, pod, name, command, early=True, usr=False):
        self.guest, self.pod, self.name = pod.guest, pod, name
        self.id = secrets.token_hex(32)
        self.cgroup = f"{pod.cgroup}/cri-containerd-{self.id}.scope"
        self.guest.check(f"mkdir -p {pod.logs}/{name} && : >{pod.logs}/{name}/0.log")
        if early:
            self.link()
        mount = "--mount type=bind,src=/usr,dst=/usr,options=rbind:ro" if usr else ""
        self.guest.check(f"ctr run -d --null-io --rootfs --runc-binary /run/node/runc --runc-systemd-cgroup {mount} "
                         f"--cgroup {pod.slice}:cri-containerd:{self.id} {ROOT} {self.id} {command}")

    def link(self):
        self.guest.check(f"ln -s {self.pod.logs}/{self.name}/0.log "
                         f"/var/log/containers/{self.pod.name}_{self.pod.namespace}_{self.name}-{self.id}.log")

    def cpu_us(self):
        return int(self.guest.check(f"sed -n 's/^usage_usec //p' /sys/fs/cgroup{self.cgroup}/cpu.stat"))

    def use(self, cpu_us):
        """Returns when it has used so much more."""
        goal = self.cpu_us() + cpu_us
        wait_until(lambda: self.cpu_us() >= goal, f"{self.name} uses {cpu_us} µs", interval=0.5)

    def end(self):
        """It is killed, and its control group gone. The runtime would know it still."""
        self.guest.check(f"echo 1 >/sys/fs/cgroup{self.cgroup}/cgroup.kill; while [ -d /sys/fs/cgroup{self.cgroup} ]; do sleep 0.1; done")


class Pod:
    """A slice below kubepods.slice, and a log directory: kubelet's, with the systemd driver."""

    def __init__(self, guest, namespace, name, qos="burstable"):
        self.guest, self.namespace, self.name, self.qos = guest, namespace, name, qos
        self.uid = str(uuid.uuid4())
        self.slice = f"kubepods-{qos}-pod{self.uid.replace('-', '_')}.slice"
        self.cgroup = f"/kubepods.slice/kubepods-{qos}.slice/{self.slice}"
        self.logs = f"/var/log/pods/{namespace}_{name}_{self.uid}"
        guest.check(f"systemctl start {self.slice} && mkdir -p {self.logs}")

    def end(self):
        self.guest.check(f"systemctl stop {self.slice} && rm -r {self.logs}")


class Attributor:
    """The service."""

    def __init__(self, guest):
        self.guest = guest

    def start(self, options=""):
        """Anew, if it runs; with these options in place of the unit's own."""
        drop_in = f"/run/systemd/system/{UNIT}.d"
        self.guest.check(f"mkdir -p {drop_in}")
        self.guest.write_file(f"{drop_in}/test.conf", f"[Service]\nExecStart=\nExecStart=virtjoule-attributor {options}\n")
        self.guest.check(f"systemctl daemon-reload && systemctl restart {UNIT}")
        wait_until(lambda: self.guest.run(f"perl /run/node/look.pl {PORT}")[0] == 0, "the attributor answers", interval=0.5)

    def look(self, *patterns):
        """(what the files hold, the document of an interval that ends after that, what the files hold right after it)."""
        text = self.guest.check(f"perl /run/node/look.pl {PORT} {' '.join(patterns)}")
        first, answer, second = text.split("----\n")
        return first, json.loads(answer.split("\r\n\r\n", 1)[1]), second


def prepare(guest):
    """containerd, and a root for containers."""
    guest.check("mkdir -p /run/node")
    guest.write_file("/run/node/runc", RUNC)
    guest.write_file("/run/node/look.pl", LOOK)
    guest.check(f"""
chmod 755 /run/node/runc
mkdir -p {ROOT}/bin.d {ROOT}/usr {ROOT}/proc {ROOT}/sys {ROOT}/dev {ROOT}/tmp /var/log/containers
mkdir -m 750 -p /var/log/pods
for directory in bin lib lib64; do ln -s usr/$directory {ROOT}/$directory; done
cp "$(command -v busybox)" {ROOT}/bin.d/busybox
for applet in sh true sleep; do ln -s busybox {ROOT}/bin.d/$applet; done
systemctl start containerd.service
""")
    wait_until(lambda: guest.run("ctr version")[0] == 0, "containerd answers")
