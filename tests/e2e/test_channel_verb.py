#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtjoule channel and virtjoule domain, and the same by virsh as documented, on real QEMU processes.

The domains have no disk and no kernel: their firmware is all that runs.
"""
import difflib
import json
import os
import re
import signal
import subprocess
import unittest
import uuid
from xml.etree import ElementTree

import vjtest
from vjtest.libvirt import ENVIRONMENT, URI, Libvirtd, virsh

CONTROLLER = "<controller type='virtio-serial'/>"
# One port for channels (port 0 is a console's), and it is taken.
FULL = ("<controller type='virtio-serial' index='0' ports='2'/>"
        "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>")
NOTES = ("<metadata><a:b xmlns:a='urn:test:a' c='d'>text<!-- note --></a:b></metadata>"
         "<description>one &amp; two</description>")
CHANNEL_XML = os.path.join(vjtest.TOP, "data/channel.xml")
CONNECT_XML = os.path.join(vjtest.TOP, "data/channel-connect.xml")
SETTINGS = "urn:virtjoule:domain:1"


def setUpModule():
    unittest.enterModuleContext(Libvirtd())


class Domain:
    """Defined, not started; with an odd name."""

    def __init__(self, case, devices="", title="web"):
        self.name = f"vjtest-{os.getpid()}-{title}"
        self.uuid = str(uuid.uuid4())
        self.xml = (f"<domain type='qemu'><name>{self.name}</name><uuid>{self.uuid}</uuid>{NOTES}"
                    "<memory unit='MiB'>32</memory><os><type arch='x86_64' machine='pc'>hvm</type></os>"
                    f"<devices>{devices}<memballoon model='none'/></devices></domain>")
        self.file = os.path.join(case.work, f"{title}.xml")
        with open(self.file, "w", encoding="utf-8") as out:
            out.write(self.xml)
        case.addCleanup(self.remove)

    def define(self):
        virsh("define", self.file)
        return self

    def start(self):
        virsh("start", self.name)
        return self

    def create(self):
        virsh("create", self.file)
        return self

    def remove(self):
        virsh("destroy", self.name, check=False)
        virsh("undefine", self.name, check=False)

    def inactive(self):
        return virsh("dumpxml", "--inactive", self.name)

    def live(self):
        return virsh("dumpxml", self.name)

    def channels(self, text):
        return [channel for channel in ElementTree.fromstring(text).iter("channel")
                if channel.find("target").get("name") == "org.virtjoule.energy.0"]

    def has(self):
        """(live, config)"""
        return len(self.channels(self.live())), len(self.channels(self.inactive()))


def virtjoule(*arguments):
    command = [os.path.join(vjtest.BUILD, "bin/virtjoule"), "--runtime-dir", "/run/vjtest-none", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=vjtest.DEADLINE_S, check=False,
                          env={**ENVIRONMENT, "LIBVIRT_DEFAULT_URI": URI})


def changes(before, after):
    """The lines that differ, without their indentation."""
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line[0] + line[1:].strip() for line in lines if line[0] in "+-"]


ADDED = ["+<channel type='unix'>", "+<target type='virtio' name='org.virtjoule.energy.0'/>",
         "+<alias name='ua-virtjoule'/>", "+<address type='virtio-serial' controller='0' bus='0' port='1'/>", "+</channel>"]


class Case(unittest.TestCase):
    def setUp(self):
        self.work = self.enterContext(vjtest.work_directory())

    def assert_has(self, domain, expected):
        """In the end: QEMU may be slow to let a device go."""
        vjtest.wait_until(lambda: domain.has() == expected, f"{domain.name} has {expected} channels")

    def tell(self, *arguments, code=0):
        """Runs the verb; returns what it says, which is one line for each domain."""
        done = virtjoule(*arguments)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr


class Channel(Case):
    def test_running(self):
        """By name, id and UUID; each flag alone; twice; and back to exactly what was there."""
        domain = Domain(self, CONTROLLER).define().start()
        before, live = domain.inactive(), domain.live()
        self.assertIn("until it stops; --config", self.tell("channel", "add", domain.name))
        self.assert_has(domain, (1, 0))
        self.assertEqual(domain.inactive(), before)
        self.assertEqual(self.tell("channel", "add", domain.uuid, "--live"),
                         f"{domain.name}: already has the channel, until it stops; --config adds it for later starts too\n")
        run = virsh("domid", domain.name).strip()
        self.assertIn("added to the persistent definition", self.tell("channel", "add", run, "--live", "--config"))
        self.assert_has(domain, (1, 1))
        self.assertEqual(changes(before, domain.inactive()), ADDED)
        self.assertEqual(self.tell("channel", "add", domain.name, "--persistent"), f"{domain.name}: already has the channel\n")
        self.assertIn("the persistent definition still has it", self.tell("channel", "remove", domain.name))
        self.assert_has(domain, (0, 1))
        self.assertIn("controller stays", self.tell("channel", "remove", domain.name, "--config"))
        self.assertEqual(self.tell("channel", "remove", domain.name, "--live", "--config"),
                         f"{domain.name}: does not have the channel\n")
        self.assertEqual(domain.inactive(), before)
        self.assertEqual(domain.live(), live)

    def test_both_at_once(self):
        domain = Domain(self, CONTROLLER).define().start()
        before = domain.inactive()
        self.assertEqual(self.tell("channel", "add", domain.name, "--live", "--config"),
                         f"{domain.name}: channel added to the running domain and the persistent definition\n")
        self.assert_has(domain, (1, 1))
        self.tell("channel", "remove", domain.name, "--persistent")
        self.assert_has(domain, (0, 0))
        self.assertEqual(domain.inactive(), before)

    def test_removes_what_others_added(self):
        """A channel without the alias, with a socket of its own."""
        path = os.path.join(self.work, "own.sock")
        domain = Domain(self, CONTROLLER + f"<channel type='unix'><source mode='bind' path='{path}'/>"
                        "<target type='virtio' name='org.virtjoule.energy.0'/></channel>").define().start()
        self.tell("channel", "remove", domain.name, "--live", "--config")
        self.assert_has(domain, (0, 0))

    def test_without_controller(self):
        domain = Domain(self).define().start()
        before = domain.inactive()
        self.assertIn("--config adds it for the next start", self.tell("channel", "add", domain.name, "--live", code=1))
        self.assertEqual(domain.inactive(), before)
        said = self.tell("channel", "add", domain.name)
        self.assertIn("added to the persistent definition, there after a full stop and start", said)
        self.assertEqual(said.count("\n"), 1)
        self.assert_has(domain, (0, 1))
        self.assertIn("already has the channel, there after", self.tell("channel", "add", domain.name, "--live", "--config"))
        added = changes(before, domain.inactive())
        self.assertEqual([line for line in added if line not in ADDED],
                         ["+<controller type='virtio-serial' index='0'>",
                          "+<address type='pci' domain='0x0000' bus='0x00' slot='0x02' function='0x0'/>", "+</controller>"])
        virsh("destroy", domain.name)
        domain.start()
        self.assert_has(domain, (1, 1))

    def test_controller_without_a_free_port(self):
        domain = Domain(self, FULL).define().start()
        self.assertIn("no free port", self.tell("channel", "add", domain.name, "--live", code=1))
        self.assert_has(domain, (0, 0))
        self.assertIn("there after a full stop", self.tell("channel", "add", domain.name, "--live", "--config"))
        self.assert_has(domain, (0, 1))

    def test_stopped(self):
        domain = Domain(self, CONTROLLER).define()
        self.assertIn("does not run", self.tell("channel", "add", domain.name, "--live", code=1))
        self.assertIn("does not run", self.tell("channel", "add", domain.name, "--live", "--config", code=1))
        self.assertEqual(domain.channels(domain.inactive()), [])
        self.assertEqual(self.tell("channel", "add", "vjtest-none", domain.name, code=1),
                         f"{domain.name}: channel added to the persistent definition\n"
                         f"virtjoule: vjtest-none: there is no such domain; virsh -c {URI} list --all shows those there are\n")
        self.assertEqual(len(domain.channels(domain.inactive())), 1)

    def test_saved(self):
        """What was saved goes on with the definition of that time."""
        domain = Domain(self, CONTROLLER).define().start()
        virsh("managedsave", domain.name)
        self.addCleanup(virsh, "managedsave-remove", domain.name, check=False)
        self.assertIn("may go on without it", self.tell("channel", "add", domain.name))
        domain.start()
        self.assert_has(domain, (0, 1))
        virsh("destroy", domain.name)
        domain.start()
        self.assert_has(domain, (1, 1))

    def test_transient(self):
        domain = Domain(self, CONTROLLER).create()
        self.assertIn("transient", self.tell("channel", "add", domain.name, "--config", code=1))
        self.assertEqual(self.tell("channel", "add", domain.name), f"{domain.name}: channel added to the running domain\n")
        self.assertIn("controller stays", self.tell("channel", "remove", domain.name))
        bare = Domain(self, title="bare").create()
        self.assertIn("it is transient", self.tell("channel", "add", bare.name, code=1))

    def test_connect(self):
        """It starts whether or not the agent's socket is there; it is not hot-plugged, since it would not reconnect."""
        domain = Domain(self, CONTROLLER).define().start()
        before = domain.inactive()
        self.assertIn("hot-plugs no channel", self.tell("channel", "add", "--connect", "--live", domain.name, code=1))
        self.assertIn("there after a full stop", self.tell("channel", "add", "--connect", "--live", "--config", domain.name))
        self.assert_has(domain, (0, 1))
        source = domain.channels(domain.inactive())[0].find("source")
        self.assertEqual((source.get("mode"), source.get("path")), ("connect", "/run/vjtest-none/guest.sock"))
        self.assertEqual(source.find("reconnect").attrib, {"enabled": "yes", "timeout": "2"})
        self.assertEqual(source.find("seclabel").attrib, {"model": "dac", "relabel": "no"})
        virsh("destroy", domain.name)
        domain.start()
        status = json.loads(self.tell("channel", "status", "--json", domain.name))
        self.assertEqual(status, [{"name": domain.name, "uuid": domain.uuid, "live": "connect", "config": "connect",
                                   "agent": None}])
        self.tell("channel", "add", domain.name)  # has it, in a way
        self.tell("channel", "remove", "--live", domain.name)
        self.tell("channel", "add", "--live", domain.name)
        self.assertIn("bind way; remove that first", self.tell("channel", "add", "--connect", domain.name, code=1))
        self.tell("channel", "remove", "--live", "--config", domain.name)
        self.assertEqual(domain.inactive(), before)

    def test_all(self):
        """One that cannot is no reason to leave the others; those that flags do not apply to are no failures."""
        if [name for name in virsh("list", "--all", "--name").split() if not name.startswith(f"vjtest-{os.getpid()}-")]:
            print("other domains are on this machine: --all is not tried on them", flush=True)
            return
        able = Domain(self, CONTROLLER, "able").define().start()
        bare = Domain(self, title="bare").create()
        off = Domain(self, title="off").define()
        said = self.tell("channel", "add", "--all", "--live", code=1)
        self.assertIn(f"{off.name}: skipped: it does not run", said)
        self.assertIn(f"virtjoule: {bare.name}: the running domain has no free port", said)
        self.assertIn("Of 3: 1 done, 1 skipped, 1 failed\n", said)
        self.assert_has(able, (1, 0))
        said = self.tell("channel", "add", "--all", "--persistent")
        self.assertIn("Of 3: 2 done, 1 skipped, 0 failed\n", said)
        self.assertEqual([line.split() for line in self.tell("channel", "status").splitlines()[2:5]],
                         [[able.name, "bind", "bind", "-"], [bare.name, "none", "transient", "-"],
                          [off.name, "not", "running", "bind", "-"]])
        self.assertIn("skipped: it is transient", self.tell("channel", "remove", "--all", "--persistent"))
        self.assert_has(able, (0, 0))

    def test_interrupted(self):
        """At whatever moment: the channel is whole or not there, and the next call finishes."""
        domain = Domain(self, CONTROLLER).define().start()
        before = domain.inactive()
        command = [os.path.join(vjtest.BUILD, "bin/virtjoule"), "channel"]
        for number in range(12):
            verb = ("add", "remove")[number % 2]
            process = subprocess.Popen([*command, verb, domain.name, "--live", "--config", "--uri", URI],
                                       stdout=subprocess.DEVNULL)
            try:
                process.wait(0.004 * number)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
            self.assertIn(process.wait(vjtest.DEADLINE_S), (0, -signal.SIGINT))
            live, config = vjtest.wait_until(lambda: self.settled(domain), "libvirt has finished")
            self.assertEqual(live, config)
        self.tell("channel", "remove", domain.name, "--live", "--config")
        self.assertEqual(domain.inactive(), before)

    def settled(self, domain):
        """libvirt goes on with a request whose client has gone: what both definitions have once they agree, and nobody works
        on the domain, as this waits for."""
        virsh("dommemstat", domain.name)
        live, config = domain.has()
        return (live, config) if live == config else None


class ByVirsh(Case):
    """As documented in virtjoule-channel(1) and virtjoule-domain(1)."""

    def test_channel(self):
        domain = Domain(self, CONTROLLER).define().start()
        before = domain.inactive()
        virsh("attach-device", domain.name, CHANNEL_XML, "--live", "--config")
        self.assert_has(domain, (1, 1))
        self.assertEqual(changes(before, domain.inactive()), ADDED)
        self.assertIn("already has the channel", self.tell("channel", "add", domain.name, "--live", "--config"))
        virsh("detach-device-alias", domain.name, "ua-virtjoule", "--live", "--config")
        self.assert_has(domain, (0, 0))
        virsh("attach-device", domain.name, CHANNEL_XML, "--config")
        virsh("detach-device", domain.name, CHANNEL_XML, "--config")
        self.assertEqual(domain.inactive(), before)
        virsh("attach-device", domain.name, CONNECT_XML, "--config")
        self.assertRegex(self.tell("channel", "status", domain.name), rf"{domain.name} +none +connect ")
        virsh("detach-device-alias", domain.name, "ua-virtjoule", "--config")
        self.assertEqual(domain.inactive(), before)

    def test_channel_without_controller(self):
        domain = Domain(self).define().start()
        before = domain.inactive()
        self.assertRaises(RuntimeError, virsh, "attach-device", domain.name, CHANNEL_XML, "--live", "--config")
        self.assertEqual(domain.inactive(), before)
        virsh("attach-device", domain.name, CHANNEL_XML, "--config")
        self.assertEqual(domain.has(), (0, 1))

    def test_metadata(self):
        domain = Domain(self).define().start()
        virsh("metadata", domain.name, "--uri", SETTINGS, "--key", "virtjoule", "--set", "<settings interval='5s'/>",
              "--live", "--config")
        self.assertEqual(json.loads(self.tell("domain", "show", domain.name, "--json")),
                         {"name": domain.name, "uuid": domain.uuid, "live": {"interval": "5s"}, "config": {"interval": "5s"}})
        virsh("metadata", domain.name, "--uri", SETTINGS, "--remove", "--live", "--config")
        self.assertEqual(json.loads(self.tell("domain", "show", domain.name, "--json"))["live"], {})


class Settings(Case):
    def test_life(self):
        domain = Domain(self).define().start()
        before = domain.inactive()
        self.assertIn("until it stops", self.tell("domain", "set", domain.name, "interval=5s"))
        self.assertEqual(domain.inactive(), before)
        self.tell("domain", "set", domain.name, "--config", "measure=no", "resolution=10mJ")
        self.tell("domain", "set", domain.name, "--live", "--config", "static-policy=even")
        shown = self.tell("domain", "show", domain.name)
        rows = {line.split()[0]: line.split()[1:] for line in shown.splitlines()[2:]}
        self.assertEqual(rows, {"measure": ["-", "no"], "interval": ["5s", "-"], "static-policy": ["even", "even"],
                                "resolution": ["-", "10mJ"]})
        self.assertEqual(changes(before, domain.inactive()), [
            '+<virtjoule:settings xmlns:virtjoule="urn:virtjoule:domain:1" measure="no" resolution="10mJ" '
            'static-policy="even"/>'])
        self.tell("domain", "unset", domain.name, "--live", "--config", "measure", "interval", "static-policy", "resolution")
        self.assertEqual(domain.inactive(), before)
        self.assertFalse(re.search("virtjoule", domain.live()))

    def test_all_or_nothing(self):
        domain = Domain(self).define()
        before = domain.inactive()
        self.assertIn('"5" is not', self.tell("domain", "set", domain.name, "measure=no", "interval=5", code=2))
        self.assertIn("transient", self.tell("domain", "set", Domain(self, title="gone").create().name, "--live", "--config",
                                             "measure=no", code=1))
        self.assertEqual(domain.inactive(), before)


if __name__ == "__main__":
    vjtest.main()
