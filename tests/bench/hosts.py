# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stand-ins for many domains: real processes in cgroups of their own, real unix sockets as channels, and one thread
that speaks the guest's side of the protocol (docs/protocol.md) on all of them."""

import json
import os
import selectors
import shutil
import socket
import subprocess
import threading
import time
import uuid


class Guests:
    """N listening sockets; on each connection: hello, and an acknowledgement of every frame."""

    def __init__(self, directory, count):
        self.paths = [os.path.join(directory, "channel-%d" % i) for i in range(count)]
        self.selector = selectors.DefaultSelector()
        self.frames = 0
        self.ages = []  # seconds from the reading to the arrival of each frame; one clock
        self.stopping = False
        self.wake_r, self.wake_w = os.pipe()
        self.selector.register(self.wake_r, selectors.EVENT_READ, None)
        for path in self.paths:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
            listener.listen(1)
            listener.setblocking(False)
            self.selector.register(listener, selectors.EVENT_READ, "listen")
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.stopping:
            for key, _ in self.selector.select():
                if key.data == "listen":
                    self._accept(key.fileobj)
                elif key.data is not None and not self._serve(key.fileobj, key.data):
                    self.selector.unregister(key.fileobj)
                    key.fileobj.close()

    def _accept(self, listener):
        connection, _ = listener.accept()
        connection.setblocking(False)
        session = os.urandom(8).hex()
        self.selector.register(connection, selectors.EVENT_READ, {"session": session, "rest": b""})
        connection.send(b'\n{"v":1,"hello":"%s"}\n' % session.encode())

    def _serve(self, connection, state):
        """False once the agent has gone."""
        try:
            data = connection.recv(65536)
            arrival = time.monotonic()
            *lines, state["rest"] = (state["rest"] + data).split(b"\n")
            for line in filter(None, lines):
                frame = json.loads(line)
                self.frames += 1
                self.ages.append(arrival - frame["mono_us"] / 1e6)
                connection.send(b'{"v":1,"ack":"%s","seq":%d}\n' % (frame["session"].encode(), frame["seq"]))
        except ConnectionError:
            return False
        return bool(data)

    def close(self):
        self.stopping = True
        os.write(self.wake_w, b"x")
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            if not isinstance(key.fileobj, int):
                key.fileobj.close()
        self.selector.close()
        os.close(self.wake_r)
        os.close(self.wake_w)


def unified_root():
    for path in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        if os.path.exists(os.path.join(path, "cgroup.controllers")):
            return path
    return None


class Domains:
    """N domains of libvirt's test driver, each with a process, a pidfile, a cgroup and a channel."""

    def __init__(self, directory, count):
        self.rundir = os.path.join(directory, "libvirt")
        self.xml = os.path.join(directory, "node.xml")
        self.scopes = []
        self.children = []
        os.mkdir(self.rundir)
        self.guests = Guests(directory, count)
        root = unified_root()
        for i in range(count):
            child = subprocess.Popen(["sleep", "infinity"])
            self.children.append(child)
            if root is not None:
                self._enter_scope(root, i, child.pid)
            with open(os.path.join(self.rundir, "bench-%d.pid" % i), "w") as pidfile:
                pidfile.write("%d\n" % child.pid)
        with open(self.xml, "w") as xml:
            xml.write("<node>%s</node>" % "".join(self._domain(i) for i in range(count)))
        self.uri = "test://" + self.xml

    def _enter_scope(self, root, i, pid):
        scope = os.path.join(root, "machine", "qemu-%d-bench%d.libvirt-qemu" % (os.getpid() * 1000 + i, i))
        os.makedirs(scope)
        self.scopes.append(scope)
        with open(os.path.join(scope, "cgroup.procs"), "w") as procs:
            procs.write(str(pid))

    def _domain(self, i):
        return (
            "<domain type='test'><name>bench-%d</name><uuid>%s</uuid><memory>65536</memory><os><type>hvm</type></os>"
            "<devices><channel type='unix'><source mode='bind' path='%s'/>"
            "<target type='virtio' name='org.virtjoule.energy.0'/></channel></devices></domain>"
            % (i, uuid.UUID(int=i + 1), self.guests.paths[i])
        )

    def close(self):
        for child in self.children:
            child.kill()
        for child in self.children:
            child.wait()
        for scope in self.scopes:
            os.rmdir(scope)
        self.guests.close()
        shutil.rmtree(self.rundir)
