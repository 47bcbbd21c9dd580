#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtjoule proxmox against a stand-in for qm and /etc/pve that keeps their formats, with configurations as they are found
in real life."""
import fcntl
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from fake_pve import FakePve, parse, render, split_args  # noqa: E402 (found by the line above)

BIN = os.environ.get("VJ_BIN", "build/bin")
SOCKET = "/run/virtjoule/guest.sock"
OURS = ("-device virtio-serial,id=virtjoule,bus=pci.2,addr=0x1f "
        f"-chardev socket,id=virtjoule,path={SOCKET},reconnect-ms=2000 "
        "-device virtserialport,bus=virtjoule.0,chardev=virtjoule,name=org.virtjoule.energy.0")

# name: (configuration, args of the next start before and after `enable`; None: OURS alone)
PLAIN = "boot: order=scsi0;ide2;net0\ncores: 2\nmemory: 2048\nname: {name}\nnet0: virtio=BC:24:11:00:00:01,bridge=vmbr0\n" \
        "ostype: l26\nscsi0: local-lvm:vm-{vmid}-disk-0,iothread=1,size=32G\nscsihw: virtio-scsi-single\nsockets: 1\n"
ODD = {
    100: (PLAIN, None),
    101: ("#Runs %3Aargs%3A -cpu host%0A[PENDING]\n#\n#<b>web</b>\nargs: -cpu 'host,+kvm_pv_unhalt,hv_vendor_id=NV43FIX'\n"
          "bios: ovmf\nefidisk0: local-lvm:vm-101-disk-1,efitype=4m,pre-enrolled-keys=1,size=4M\nhostpci0: 0000:01:00,pcie=1,"
          "x-vga=1\nmachine: q35\nname: web.example.org\ntags: prod;web\n", "-cpu 'host,+kvm_pv_unhalt,hv_vendor_id=NV43FIX'"),
    102: ("args:   -device  ich9-intel-hda,bus=pcie.0,addr=0x1b   -audiodev spice,id=a \t \nname: b\u00fccher\nmemory: 512\n",
          "-device  ich9-intel-hda,bus=pcie.0,addr=0x1b   -audiodev spice,id=a"),
    103: ("agent: 1\nargs: -smbios \"type=1,serial=a\\\"b,manufacturer=A,,B\" -fw_cfg 'name=opt/x,string=a b'\ncicustom: user="
          "local:snippets/u.yaml\nide2: local-lvm:vm-103-cloudinit,media=cdrom\nipconfig0: ip=dhcp\nname: ci\nsshkeys: ssh-rsa"
          "%20AAAA%3D%3D%20a%40b%0A\n\n[special:cloudinit]\nname: ci\n",
          "-smbios \"type=1,serial=a\\\"b,manufacturer=A,,B\" -fw_cfg 'name=opt/x,string=a b'"),
    104: ("args: -vnc 0.0.0.0:77\nmemory: 1024\nname: snap\nparent: before\n\n[before]\nargs: -vnc 0.0.0.0:78\nmemory: 512\n"
          "snaptime: 1700000000\nvmstate: local-lvm:vm-104-state-before\n\n[older]\n#taken %3A by hand\nmemory: 256\n",
          "-vnc 0.0.0.0:77"),
    105: ("memory: 1024\nname: snap2\n\n[before]\nargs: -vnc :78\nmemory: 512\n", None),
    106: (f"args: {OURS.replace(SOCKET, '/run/old/guest.sock')} -cpu host\nname: moved\n", "-cpu host"),
    107: (f"args: {OURS} -cpu host {OURS}\nname: twice\n", "-cpu host"),
    108: ("args: -chardev socket,id=looking-glass,path=/run/lg -device virtserialport,chardev=looking-glass,name=lg.0 "
          "-device ivshmem-plain,memdev=lg -object memory-backend-file,id=lg,share=on,mem-path=/dev/shm/looking-glass,size=32M\n",
          "-chardev socket,id=looking-glass,path=/run/lg -device virtserialport,chardev=looking-glass,name=lg.0 "
          "-device ivshmem-plain,memdev=lg -object memory-backend-file,id=lg,share=on,mem-path=/dev/shm/looking-glass,size=32M"),
    109: ("args: -cpu host\r\nname: crlf\r\n[before]\r\nargs: -vnc :1\r\n", "-cpu host"),
    110: ("args: -cpu host\nname: special\n[special:fleecing]\nargs: -vnc :1\n", "-cpu host"),
}


def lacks_value(words):
    """Whether the last of words is an option that wants one more."""
    options = iter(words)
    return any(word in (b"-device", b"-chardev") and next(options, None) is None for word in options)


def joined(rest):
    return f"{rest} {OURS}" if rest else OURS


def rendered(text, **changes):
    """The configuration as qm would write it, with other values of its own section."""
    sections = parse(text)
    for key, value in changes.items():
        sections[0][2].pop(key, None)
        sections[0][2].update({key: value} if value else {})
    return render(sections)


class Node(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("args may be set by root only, and so may its stand-in")
        top = tempfile.TemporaryDirectory(prefix="vj-proxmox-")
        self.addCleanup(top.cleanup)
        self.node = FakePve(top.name)

    def run_verb(self, *words, path=None, **environment):
        environment = dict(os.environ, LC_ALL="C.UTF-8", PATH=path or f"{self.node.bin}:{os.environ['PATH']}", **environment)
        command = [f"{BIN}/virtjoule", "proxmox", "--pve-dir", self.node.pve, *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240, check=False)

    def assert_runs(self, *words, **options):
        result = self.run_verb(*words, **options)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout

    def assert_refused(self, message, *words, status=1, **options):
        """One line that matches message; no qm has been told to set anything."""
        before = len(self.sets())
        result = self.run_verb(*words, **options)
        self.assertEqual(result.returncode, status)
        self.assertRegex(result.stderr, rf"^{message}\n$")
        self.assertEqual(len(self.sets()), before)

    def sets(self):
        return [call for call in self.node.calls() if call[0] == "set"]

    def qm(self, *words):
        return subprocess.run([self.node.bin / "qm", *map(str, words)], capture_output=True, text=True, check=True)

    def define_odd(self):
        texts = {vmid: text.format(name="plain", vmid=vmid) for vmid, (text, _rest) in ODD.items()}
        for vmid, text in texts.items():
            self.node.define(vmid, text.encode("utf-8", "surrogateescape"))
        return {vmid: self.node.config(vmid).read_bytes() for vmid in texts}


class OddConfigurations(Node):
    def test_enable_and_disable(self):
        before = self.define_odd()
        self.assertEqual(self.assert_runs("enable", *ODD).count("enabled\n"), len(ODD))
        for vmid, (_text, rest) in ODD.items():
            with self.subTest(vmid):
                self.assertEqual(self.node.config(vmid).read_bytes(), rendered(before[vmid], args=joined(rest)))
        calls = len(self.sets())
        self.assertEqual(self.assert_runs("enable", "--all").count("enabled already\n"), len(ODD))
        self.assertEqual(len(self.sets()), calls)
        self.assert_runs("disable", "--all")
        for vmid, (_text, rest) in ODD.items():
            with self.subTest(vmid):
                self.assertEqual(self.node.config(vmid).read_bytes(), rendered(before[vmid], args=rest))
        self.assertIn(["set", "100", "--digest"], [call[:3] for call in self.sets()])
        self.assertIn(["--delete", "args"], [call[-2:] for call in self.sets() if call[1] == "100"])

    def test_the_words_that_qemu_gets(self):
        """Whatever args a VM has: QEMU gets the same words as before, and ours behind them."""
        rng = random.Random(5)
        alphabet = [" ", "  ", "\t", "'", '"', "\\", "-device", "-chardev", "id=virtjoul", "x", ",,", "=", "\u00e9"]
        texts = {}
        for vmid in range(100, 160):
            args = "".join(rng.choice(alphabet) for _ in range(rng.randint(1, 12))).strip()
            texts[vmid] = args
            self.node.define(vmid, f"args: {args}\n" if args else "name: none\n")
        self.run_verb("enable", "--all")
        broken = 0
        for vmid, args in texts.items():
            words = split_args(args.encode())
            refused = args and not words or lacks_value(words) or not args.isascii()
            found = split_args(self.node.args(vmid).encode()) if self.node.args(vmid) else []
            with self.subTest(args):
                self.assertEqual(found, words if refused else words + split_args(OURS.encode()))
            broken += bool(refused)
        self.assertGreater(broken, 0)
        self.assertLess(broken, len(texts))
        self.run_verb("disable", "--all")
        for vmid, args in texts.items():
            with self.subTest(args):
                self.assertEqual(self.node.args(vmid), args or None)

    def test_what_qm_would_not_keep(self):
        """Proxmox has such args only by an editor, as qm garbles them."""
        for args in (b"-smbios type=1,product=caf\xc3\xa9", b"-smbios type=1,product=\xff"):
            with self.subTest(args):
                self.node.define(100, b"args: " + args + b"\nname: bytes\n")
                before = self.node.config(100).read_bytes()
                result = self.run_verb("enable", 100)
                self.assertEqual(self.node.config(100).read_bytes(), before)
                self.assertEqual((result.returncode, result.stdout), (1, ""))
                self.assertRegex(result.stderr, "^VM 100: args has characters .*\n$")
                self.node.define(100, b"args: " + args + b" " + OURS.encode() + b"\n")
                before = self.node.config(100).read_bytes()
                self.assertIn("enabled already", self.assert_runs("enable", 100))
                self.assertEqual(self.run_verb("disable", 100).returncode, 1)
                self.assertEqual(self.node.config(100).read_bytes(), before)

    def test_own_port_stays(self):
        own = "-chardev socket,id=e,path=/e,server=on,wait=off -device virtserialport,chardev=e,name=org.virtjoule.energy.0"
        self.node.define(100, f"args: {own}\n")
        self.assertIn("of your own", self.assert_runs("enable", 100))
        self.assertIn(" own ", self.assert_runs("status", 100))
        self.assertEqual(self.node.args(100), own)

    def test_spelling_follows_qemu(self):
        old = OURS.replace("reconnect-ms=2000", "reconnect=2")
        for version, before, after in (("8.1.5", None, old), ("9.0.2", OURS, old), ("9.2.0", old, OURS), ("10.1.2", None, OURS),
                                       ("10.2.0", old, OURS)):
            with self.subTest(version):
                FakePve(self.node.top, version)
                self.node.define(100, f"args: {before}\n" if before else "name: a\n")
                self.assert_runs("enable", 100)
                self.assertEqual(self.node.args(100), after)

    def test_warns_of_qemu_that_aborts(self):
        FakePve(self.node.top, "11.0.0")
        self.node.define(100, "name: a\n")
        self.assertRegex(self.run_verb("enable", 100).stderr, "^virtjoule proxmox enable: QEMU 11.0.0 ends at once .*\n$")


class Running(Node):
    def test_pending_until_next_start(self):
        self.node.define(100, "args: -cpu host\nname: web\n")
        self.qm("start", 100)
        self.assertRegex(self.assert_runs("enable", 100), "^VM 100: enabled, from its next start on: .*qm reboot")
        self.assertEqual((self.node.args(100), self.node.args(100, "PENDING")), ("-cpu host", f"-cpu host {OURS}"))
        self.assertRegex(self.assert_runs("status", 100), r"100 +web +enabled +next start")
        self.assertIn("enabled already, from its next start", self.assert_runs("enable", 100))
        self.assertEqual(len(self.sets()), 1)
        self.qm("reboot", 100)
        self.assertEqual(self.node.argv(100), split_args(f"-cpu host {OURS}".encode()))
        self.assertEqual(self.assert_runs("enable", 100), "VM 100: enabled already\n")

    def test_second_thoughts(self):
        """enable and disable of a running VM leave nothing pending."""
        for before in ("args: -cpu host\nname: web\n", "name: web\n"):
            with self.subTest(before):
                self.node.define(100, before)
                self.qm("start", 100)
                self.assert_runs("enable", 100)
                self.assert_runs("disable", 100)
                self.assertEqual(self.node.config(100).read_text(), before)
                self.qm("stop", 100)

    def test_disable_while_running(self):
        self.node.define(100, f"args: {OURS}\nname: web\n")
        self.qm("start", 100)
        self.assertIn("disabled, from its next start on", self.assert_runs("disable", 100))
        self.assertIn(b"[PENDING]\ndelete: args\n", self.node.config(100).read_bytes())
        self.qm("reboot", 100)
        self.assertEqual(self.node.argv(100), [])

    def test_json(self):
        self.node.define(100, "name: a\"b\u00e9\n")
        self.qm("start", 100)
        documents = [json.loads(self.assert_runs(*words, "--json")) for words in (("status", 100), ("enable", 100))]
        expected = {"vmid": 100, "name": "a\"b\u00e9", "state": "disabled", "pending": False, "changed": False,
                    "template": False, "lock": None, "error": None}
        self.assertEqual(documents[0], [expected])
        self.assertEqual(documents[1], [expected | {"state": "enabled", "pending": True, "changed": True}])


class Refusals(Node):
    def setUp(self):
        super().setUp()
        self.node.define(100, "name: a\n")

    def test_locked(self):
        self.node.define(100, "lock: backup\nname: a\n")
        self.assert_refused(r"VM 100: is locked \(backup\); .*qm unlock 100.*", "enable", 100)
        self.assertRegex(self.assert_runs("status", 100), "disabled .* backup")
        self.node.define(100, f"args: {OURS}\nlock: backup\n")
        self.assert_runs("enable", 100)

    def test_template(self):
        self.node.define(101, "name: t\ntemplate: 1\n")
        self.assert_refused("VM 101: is a template, which never runs; .*", "enable", 101)
        self.assertIn("VM 101: left out, it is a template\n", self.assert_runs("enable", "--all"))
        self.assertIsNone(self.node.args(101))

    def test_elsewhere(self):
        self.node.define(200, "arch: amd64\nhostname: ct\n", kind="lxc")
        self.node.define(201, "name: far\n", node="pve2")
        self.assert_refused("VM 200: is a container; .*", "enable", 200)
        self.assert_refused("VM 201: is on node pve2; run this there", "enable", 201)
        self.assert_refused("VM 999: does not exist; qm list .*", "disable", 999)
        self.assertEqual(self.run_verb("status", 201, 999).stdout, "")

    def test_open_quote(self):
        self.node.define(100, "args: -cpu 'host\nname: a\n")
        self.assert_refused("VM 100: args ends within a quote .*", "enable", 100)
        self.assert_refused("VM 100: args ends within a quote .*", "disable", 100)

    def test_no_node(self):
        self.assert_refused(r"virtjoule: there is no kvm on this machine: .*", "enable", 100, path="/nonexistent")
        self.assert_refused(r"VM 100: there is no .*/nowhere/qemu-server: this is no Proxmox VE node.*", "enable", 100,
                            "--pve-dir", self.node.top / "nowhere")
        self.assert_refused("virtjoule: there is no .*/nowhere/qemu-server: .*", "status", "--all", "--pve-dir",
                            self.node.top / "nowhere")
        (self.node.bin / "qm").unlink()
        self.assert_refused("VM 100: there is no qm on this machine: .*", "enable", 100, path=f"{self.node.bin}:/nonexistent")

    def run_as_other(self, *words):
        os.chmod(self.node.top, 0o755)
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", f"{BIN}/virtjoule", "proxmox", "--pve-dir",
                   self.node.pve, *words]
        result = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False,
                                env=dict(os.environ, PATH=f"{self.node.bin}:{os.environ['PATH']}"))
        if "setpriv" in result.stderr or "not found" in result.stderr or "Permission denied" in result.stderr:
            self.skipTest(f"no other user here: {result.stderr}")
        self.assertEqual((result.returncode, self.node.calls()), (1, []))
        return result.stderr

    def test_not_root(self):
        self.assertEqual(self.run_as_other("enable", "100"), "VM 100: args may be set by root@pam only: run this as root\n")
        self.node.config(100).chmod(0o600)
        for words in (("status", "100"), ("enable", "--all")):
            self.assertEqual(self.run_as_other(*words),
                             "VM 100: the configuration is readable by root only; run this as root\n")
        os.chmod(self.node.pve, 0o700)
        self.assertEqual(self.run_as_other("status", "--all"),
                         "virtjoule: the configuration is readable by root only; run this as root\n")
        self.assertEqual(self.run_as_other("status", "100"),
                         "VM 100: the configuration is readable by root only; run this as root\n")

    def test_unreadable(self):
        """Not even by root."""
        self.node.config(101).mkdir()
        self.node.config(102).write_text("name: a\n" * 200_000)
        for vmid in (101, 102):
            self.assert_refused(f"VM {vmid}: the configuration cannot be read: .*; qm config {vmid} may say more", "enable", vmid)

    def test_command_lines(self):
        for words in ((), ("enable",), ("enable", "--all", "100"), ("enable", "99"), ("enable", "../100"), ("frob", "100"),
                      ("enable", "100", "--what"), ("status", "web")):
            with self.subTest(words):
                self.assert_refused("virtjoule proxmox: .*; virtjoule proxmox --help lists what is allowed", *words, status=2)

    def test_odd_runtime_directory(self):
        for directory in ("/run/a b", "/run/a,b", "relative", "/run/'"):
            result = subprocess.run([f"{BIN}/virtjoule", "--runtime-dir", directory, "proxmox", "enable", "100"],
                                    capture_output=True, text=True, timeout=240, check=False)
            self.assertEqual(result.returncode, 2)
            self.assertIn(f"--runtime-dir must be an absolute path of letters, digits and / . _ - alone: {directory}",
                          result.stderr)

    def test_all_goes_on(self):
        self.node.define(101, "lock: migrate\n")
        self.node.define(102, "args: 'x\n")
        self.node.define(103, "name: d\n")
        result = self.run_verb("enable", "--all")
        self.assertEqual(result.returncode, 1)
        self.assertEqual([line[:6] for line in result.stderr.splitlines()], ["VM 101", "VM 102"])
        self.assertEqual(result.stdout, "VM 100: enabled\nVM 103: enabled\n")
        document = json.loads(self.run_verb("status", "--all", "--json").stdout)
        self.assertEqual([(vm["state"], vm["error"] is None) for vm in document],
                         [("enabled", True), ("disabled", True), (None, False), ("enabled", True)])


class Races(Node):
    def test_changed_at_the_same_moment(self):
        """Somebody else's change between reading and writing is kept, and said."""
        self.node.define(100, "name: a\n")
        real = self.node.bin / "qm"
        real.rename(self.node.bin / "qm.real")
        self.node.program("qm", f'echo "args: -theirs" >>"{self.node.config(100)}"; exec "{self.node.bin}/qm.real" "$@"')
        result = self.run_verb("enable", 100)
        self.assertEqual((result.returncode, result.stderr),
                         (1, "VM 100: was changed by somebody else at the same moment; run this again\n"))
        self.assertEqual(self.node.args(100), "-theirs")

    def test_being_started(self):
        self.node.define(100, "name: a\n")
        with open(self.node.top / "lock/lock-100.conf", "w", encoding="utf-8") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            result = self.run_verb("enable", 100, FAKE_PVE_LOCK_SECONDS="0.1")
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, "^VM 100: is locked: .*run this again after that\n$")
        self.assertEqual(self.node.config(100).read_text(), "name: a\n")

    def test_other_complaints_pass(self):
        self.node.define(100, "name: a\n")
        self.node.program("qm", "echo first >&2; printf 'no quorum\\033[31m\\n' >&2; exit 5")
        result = self.run_verb("enable", 100)
        self.assertEqual((result.returncode, result.stderr), (1, "VM 100: qm set failed: no quorum?[31m\n"))

    def test_qm_that_does_something_else(self):
        self.node.define(100, "name: a\n")
        self.node.program("qm", f'echo "args: -theirs" >>"{self.node.config(100)}"')
        result = self.run_verb("enable", 100)
        self.assertEqual((result.returncode, result.stderr),
                         (1, "VM 100: has other args than it was given; look at qm config 100\n"))


if __name__ == "__main__":
    unittest.main()
