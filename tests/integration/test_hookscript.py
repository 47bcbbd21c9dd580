#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""hooks/proxmox-hookscript, run by the stand-in for qm in its phases and under its lock, by each shell that may be /bin/sh."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from fake_pve import FakePve, parse  # noqa: E402 (found by the line above)

BIN = pathlib.Path(os.environ.get("VJ_BIN", "build/bin")).resolve()
HOOK = HERE.parent.parent / "hooks" / "proxmox-hookscript"
CONFIG = "args: -cpu host\nhookscript: local:snippets/virtjoule\nname: web\n"
MARK = "name=org.virtjoule.energy.0"


def wait_for(condition, what):
    deadline = time.monotonic() + 120
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within two minutes: {what}")
        time.sleep(0.02)


class Hooked(unittest.TestCase):
    shell = ["/bin/sh"]

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("Proxmox runs hookscripts as root, and its stand-in wants to be root too")
        if shutil.which(self.shell[0]) is None:
            self.skipTest(f"{self.shell[0]} is not installed")
        top = tempfile.TemporaryDirectory(prefix="vj-hookscript-")
        self.addCleanup(top.cleanup)
        self.node = FakePve(top.name)
        self.runtime = self.node.top / "virtjoule"
        (self.runtime / "notes").mkdir(parents=True)
        (self.node.top / "etc").mkdir()
        self.log = self.node.top / "log"
        self.hook = self.node.top / "snippets" / "virtjoule"
        self.hook.write_text(HOOK.read_text().replace("#!/bin/sh", f"#!{' '.join(self.shell)}", 1))
        self.hook.chmod(0o755)
        self.node.program("logger", f'shift 3; printf "%s\\n" "$*" >>"{self.log}"')
        self.install(f'shift; exec "{BIN}/virtjoule" --runtime-dir "{self.runtime}" proxmox --pve-dir "{self.node.pve}" "$@"')
        self.node.define(100, CONFIG)

    def install(self, body):
        self.node.program("virtjoule", body)

    def require(self):
        (self.node.top / "etc/proxmox-require").touch()

    def environment(self, **more):
        ours = {"LC_ALL": "C.UTF-8", "PATH": f"{self.node.bin}:{os.environ['PATH']}", "VIRTJOULE_RETRY_SECONDS": "0.05",
                "VIRTJOULE_RUNTIME_DIR": str(self.runtime), "VIRTJOULE_CONFIG_DIR": str(self.node.top / "etc")}
        return os.environ | ours | more

    def qm(self, *words, **environment):
        return subprocess.run([self.node.bin / "qm", *map(str, words)], capture_output=True, text=True, timeout=240,
                              check=False, env=self.environment(**environment))

    def run_hook(self, *words, **environment):
        """The hookscript by itself, in no lock."""
        return subprocess.run([self.hook, *words], capture_output=True, text=True, timeout=240, check=False,
                              env=self.environment(**environment))

    def wait_for_log(self):
        """What the background has reported at its end; busybox has a logger built in, which the test cannot replace."""
        if self.shell[0].endswith("busybox"):
            wait_for(lambda: any(section[2].get("args", "").endswith(MARK) for section in parse(self.config())), "args")
            return None
        wait_for(lambda: self.log.exists() and self.log.read_text().endswith("\n"), "the background's report")
        return self.log.read_text()

    def config(self):
        return self.node.config(100).read_bytes()

    def notes(self):
        return sorted(path.name for path in (self.runtime / "notes").iterdir())

    def started_with_channel(self):
        return any(MARK.encode() in word for word in self.node.argv(100))

    def sets(self):
        return [call for call in self.node.calls() if call[0] == "set"]


class Start(Hooked):
    def test_adds_for_the_next_start(self):
        result = self.qm("start", 100)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("virtjoule: VM 100 starts without its energy channel", result.stdout)
        self.assertFalse(self.started_with_channel())
        report = self.wait_for_log()
        if report is not None:
            self.assertIn("VM 100: enabled, from its next start on", report)
        self.assertEqual(len(self.sets()), 1)  # it did not run into the lock that qm start holds
        self.assertIn("-cpu host -device virtio-serial", self.node.args(100, "PENDING"))
        self.assertEqual(self.notes(), ["proxmox.post-start"])
        result = self.qm("reboot", 100)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
        self.assertTrue(self.started_with_channel())
        self.assertEqual(self.notes(), ["proxmox.post-start", "proxmox.post-stop"])
        self.assertEqual(len(self.sets()), 1)

    def test_renews_what_qemu_may_refuse(self):
        """At pre-start, because with QEMU 10.2 there is no post-start then."""
        old = f"-cpu host -chardev socket,id=virtjoule,path={self.runtime}/guest.sock,reconnect=2"
        self.node.define(100, CONFIG.replace("-cpu host", old))
        result = self.run_hook("100", "pre-start")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("starts with an outdated energy channel", result.stdout)
        self.wait_for_log()
        self.assertTrue(self.node.args(100).startswith("-cpu host -device virtio-serial"))

    def test_required(self):
        self.require()
        result = self.qm("start", 100)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("may not start without its energy channel", result.stdout)
        self.assertIn("hookscript error for 100 on pre-start", result.stderr)
        self.assertFalse(self.node.is_running(100))
        self.wait_for_log()
        self.assertEqual(self.qm("start", 100).returncode, 0)
        self.assertTrue(self.started_with_channel())

    def test_required_and_not_known(self):
        """Only a VM that is known to lack the channel is held back."""
        self.require()
        for body in ("exit 1", "echo nonsense", "kill -9 $$", 'echo \'[{"vmid":100,"state":null,"error":"x"}]\''):
            with self.subTest(body):
                self.install(body)
                self.assertEqual(self.qm("start", 100).returncode, 0)
                self.qm("stop", 100)

    def test_migration(self):
        """What arrives by migration is started as it was; its configuration is still the other node's."""
        self.require()
        result = self.qm("start", 100, PVE_MIGRATED_FROM="pve2")
        self.assertEqual((result.returncode, result.stdout), (0, ""))
        self.assertEqual((self.sets(), self.notes()), ([], ["proxmox.post-start"]))

    def test_own_port(self):
        self.require()
        self.node.define(100, CONFIG.replace("-cpu host", f"-device virtserialport,chardev=e,{MARK}"))
        self.assertEqual(self.qm("start", 100).returncode, 0)
        self.assertEqual(self.sets(), [])

    def test_not_installed(self):
        (self.node.bin / "virtjoule").unlink()
        self.require()
        path = f"{self.node.bin}:/usr/bin:/bin"
        result = self.run_hook("100", "pre-start", PATH=path)
        if shutil.which("virtjoule"):
            self.skipTest("virtjoule is installed on this machine")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("virtjoule is not installed on this node", result.stdout)
        self.assertEqual(self.run_hook("100", "post-start", PATH=path).returncode, 0)

    def test_hangs(self):
        self.require()
        self.install("exec sleep 600")
        self.assertEqual(self.run_hook("100", "pre-start").returncode, 0)

    def test_gives_up(self):
        self.node.define(100, CONFIG + "lock: backup\n")
        self.assertEqual(self.run_hook("100", "post-start").returncode, 0)
        if not self.shell[0].endswith("busybox"):
            self.assertIn("VM 100: is locked (backup)", self.wait_for_log())
        self.assertEqual(self.sets(), [])


class Always(Hooked):
    def test_odd_calls(self):
        """Nothing but pre-start of a VM that is known to lack the channel ends with another status than 0."""
        self.require()
        for words in ((), ("",), ("100",), ("100", ""), ("100", "frob"), ("../../etc", "post-stop"), ("1 2", "post-start"),
                      ("-x", "pre-start"), ("$(id)", "post-stop"), ("100;id", "post-stop"), ("999", "pre-start"),
                      ("100", "pre-stop"), ("100", "../post-stop")):
            with self.subTest(words):
                result = self.run_hook(*words)
                self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(self.notes(), [])

    def test_nobody_listens(self):
        """No agent has ever been there, or its directory is no directory; and nobody reads what is said."""
        shutil.rmtree(self.runtime / "notes")
        self.assertEqual(self.run_hook("100", "post-stop").returncode, 0)
        (self.runtime / "notes").touch()
        result = self.run_hook("100", "post-stop")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        closed = subprocess.run(f"'{self.hook}' 100 pre-start >&- 2>&-", shell=True, timeout=240, check=False,
                                env=self.environment())
        self.assertEqual(closed.returncode, 0)
        for words in (("100", "pre-start"), ("frob",)):
            reader, writer = os.pipe()
            os.close(reader)
            with self.subTest(words), open(writer, "wb") as gone:
                result = subprocess.run([self.hook, *words], stdout=gone, stderr=gone, timeout=60, check=False,
                                        env=self.environment())
                self.assertEqual(result.returncode, 0)

    def test_is_executable(self):
        self.assertTrue(os.access(HOOK, os.X_OK))


def each_shell(case):
    shells = {"Dash": ["/usr/bin/dash"], "Bash": ["/bin/bash", "--posix"], "Busybox": ["/usr/bin/busybox", "sh"]}
    return {case.__name__ + name: type(case.__name__ + name, (case,), {"shell": words}) for name, words in shells.items()}


globals().update(each_shell(Start))
globals().update(each_shell(Always))

if __name__ == "__main__":
    del Start, Always
    unittest.main()
