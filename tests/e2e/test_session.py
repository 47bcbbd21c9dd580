#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A user's own libvirt (qemu:///session) and that user's own agent: the whole path without root, on modelled energy; and
the name of the socket that the modular daemon (virtqemud) listens at."""
import contextlib
import os
import pwd
import signal
import subprocess
import unittest
from unittest import mock

import vjtest
from vjtest import libvirt
from vjtest.agent import Agent
from vjtest.guest import Guest

USER = pwd.getpwnam("nobody")
URI = "qemu:///session"


class Session:
    """libvirtd as a user starts it, with directories of its own."""

    def __init__(self, work):
        self.work = work
        self.runtime = os.path.join(work, "runtime")
        self.sockets = os.path.join(self.runtime, "libvirt")
        self.process = None
        for name in ("home", "runtime", "guests"):
            self.make(name)

    def make(self, name):
        """A directory of the user's."""
        path = os.path.join(self.work, name)
        os.mkdir(path, 0o700)
        os.chown(path, USER.pw_uid, USER.pw_gid)

    def command(self, *arguments):
        """As that user."""
        return ["setpriv", "--reuid", str(USER.pw_uid), "--regid", str(USER.pw_gid), "--clear-groups", "env",
                f"HOME={self.work}/home", f"XDG_RUNTIME_DIR={self.runtime}", *arguments]

    def __enter__(self):
        self.process = subprocess.Popen(libvirt.WITHOUT_KVM + self.command("libvirtd"), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=libvirt.ENVIRONMENT)
        try:
            vjtest.wait_until(lambda: os.path.exists(self.sockets + "/libvirt-sock"), "the user's libvirtd listens")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(vjtest.DEADLINE_S)
        with contextlib.suppress(OSError, ValueError):  # it is started by libvirtd, which leaves it
            with open(self.sockets + "/virtlogd.pid", encoding="ascii") as text:
                os.kill(int(text.read()), signal.SIGTERM)

    def virsh(self, *arguments, check=True, timeout=300):
        done = subprocess.run(self.command("virsh", "-q", "-c", URI, *arguments), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout, env=libvirt.ENVIRONMENT, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"virsh {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout


class UsersAgent(Agent):
    def __init__(self, session, *options):
        for name in ("run", "state"):
            session.make(name)
        super().__init__(session.work, *options, uri=URI)
        self.arguments = session.command(*self.arguments)


class UsersSession(unittest.TestCase):
    def test_needs_no_root(self):
        with contextlib.ExitStack() as stack:
            work = stack.enter_context(vjtest.work_directory())
            session = stack.enter_context(Session(work))
            stack.enter_context(mock.patch("vjtest.guest.virsh", session.virsh))
            agent = stack.enter_context(UsersAgent(session, "--source", "model", "--interval", "200ms"))
            self.assertEqual(os.stat(f"/proc/{agent.process.pid}").st_uid, USER.pw_uid)
            # A short name: libvirt puts it into the path of a socket, below the user's home.
            guest = stack.enter_context(Guest(vjtest.image("small", work), work + "/guests", "users", prefix=""))
            guest.wait_up()
            self.follows(agent, guest)
            self.follows_the_modular_daemon(session, agent, guest)

    def follows(self, agent, guest):
        domain = agent.wait_for(guest)
        self.assertEqual((domain["state"], domain["quality"]), ("running", "estimated"))
        shown = vjtest.wait_until(guest.energy, "the guest has a tree")
        vjtest.wait_until(lambda: all(guest.energy()[zone] > shown[zone] for zone in shown), "its counters grow")

    def follows_the_modular_daemon(self, session, agent, guest):
        """virtqemud has the same protocol and directories; a client finds it by the name of its socket alone."""
        agent.stop()
        os.rename(session.sockets + "/libvirt-sock", session.sockets + "/virtqemud-sock")
        agent.start()
        vjtest.wait_until(lambda: agent.status()["libvirt"]["connected"], "the agent is connected")
        self.follows(agent, guest)
        guest.destroy()
        vjtest.wait_until(lambda: not agent.list(), "the agent has no domain")


if __name__ == "__main__":
    vjtest.main()
