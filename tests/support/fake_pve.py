#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A stand-in for qm(1), kvm(1) and /etc/pve of a Proxmox VE node, for tests.

FakePve (directory) lays out the tree, with bin/qm and bin/kvm to put in front of PATH. Run as a program it is qm. It keeps
the documented formats (qm.conf(5), qm(1)), and of qemu-server's behaviour what matters for `args`: sections, [PENDING] for
running VMs, deletion by `delete:`, --digest, locks, the lock file that is held while a VM starts and stops, hookscripts and
their phases, and the words that args is split into. Nothing of it is Proxmox's code."""
import fcntl
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

NODE = "pve1"
SECTION = re.compile(r"^\[([^\]]*)\]\s*$")
LINE = re.compile(r"^([a-z][a-z_\-]*\d*):\s*(.+?)\s*$")
# A word's next part, as Perl's Text::ParseWords takes it: quoted, or plain up to a delimiter, a quote or the end.
PART = re.compile(rb"""(?s)"((?:[^\\"]|\\.)*)"|'((?:[^\\']|\\.)*)'|((?:\\.|[^\\"'])*?)(\Z|\s+|(?=["']))""")


class Failure(Exception):
    pass


def as_stored(value):
    """A value of the command line as qm writes it: decoded (PVE::JSONSchema::get_options), and printed by Perl without an
    encoding: a byte for each character, or UTF-8 if one of them has no byte."""
    text = os.fsencode(value).decode("utf-8", "replace")
    try:
        return text.encode("latin-1").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text


def split_args(text):
    """PVE::Tools::split_args: the words of args (bytes); none at all if they cannot be split."""
    words, word, line = [], None, text.lstrip()
    while line:
        found = PART.match(line)
        if not found or not found.group(0):
            return []
        double, single, plain, delimiter = found.groups()
        raw = next(part for part in (double, single, plain) if part is not None)
        word = (word or b"") + (raw if single is not None else re.sub(rb"(?s)\\(.)", rb"\1", raw))
        line = line[found.end():]
        if delimiter:
            words.append(word)
            word = None
    return words + ([word] if word is not None else [])


def parse(raw):
    """Sections in order: [name, comment lines, {key: value}]; the first is the VM's own, with the name None."""
    sections = [[None, [], {}]]
    for line in raw.decode("utf-8", "surrogateescape").split("\n"):
        section = SECTION.match(line)
        pair = LINE.match(line)
        if section:
            sections.append([section.group(1), [], {}])
        elif line.startswith("#"):
            sections[-1][1].append(line)
        elif pair:
            sections[-1][2][pair.group(1)] = pair.group(2)
    return sections


def render(sections):
    """Comments, then the keys in order; [PENDING] only if it has any."""
    text = ""
    for name, comments, values in sections:
        if name and name.upper() == "PENDING" and not values:
            continue
        text += f"\n[{name}]\n" if name else ""
        text += "".join(line + "\n" for line in comments)
        text += "".join(f"{key}: {values[key]}\n" for key in sorted(values))
    return text.encode("utf-8", "surrogateescape")


class FakePve:
    def __init__(self, top, version="9.2.0"):
        self.top = pathlib.Path(top)
        self.pve = self.top / "pve"
        self.bin = self.top / "bin"
        for path in (f"pve/nodes/{NODE}/qemu-server", f"pve/nodes/{NODE}/lxc", "pve/nodes/pve2/qemu-server", "bin", "run",
                     "lock", "snippets"):
            (self.top / path).mkdir(parents=True, exist_ok=True)
        for kind in ("qemu-server", "lxc"):
            if not (self.pve / kind).is_symlink():
                (self.pve / kind).symlink_to(f"nodes/{NODE}/{kind}")
        self.program("qm", f'exec "{sys.executable}" "{os.path.abspath(__file__)}" "{self.top}" "$@"')
        self.program("kvm", f'echo "QEMU emulator version {version} (pve-qemu-kvm_{version}-5)"')

    def program(self, name, body):
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    def config(self, vmid, node=NODE, kind="qemu-server"):
        return self.pve / "nodes" / node / kind / f"{vmid}.conf"

    def define(self, vmid, text, **place):
        self.config(vmid, **place).write_bytes(text if isinstance(text, bytes) else text.encode())

    def args(self, vmid, section=None):
        """args of the VM's own section, or of another; None if there are none."""
        for name, _comments, values in parse(self.config(vmid).read_bytes()):
            if name == section:
                return values.get("args")
        return None

    def is_running(self, vmid):
        return (self.top / "run" / str(vmid)).exists()

    def argv(self, vmid):
        """The words of args that the VM has been started with."""
        return [bytes.fromhex(word) for word in json.loads((self.top / "run" / str(vmid)).read_text())]

    def calls(self):
        path = self.top / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Lock:
    """/var/lock/qemu-server/lock-VMID.conf, which whoever changes, starts or stops a VM holds."""

    def __init__(self, node, vmid):
        self.path = node.top / "lock" / f"lock-{vmid}.conf"
        self.deadline = time.monotonic() + float(os.environ.get("FAKE_PVE_LOCK_SECONDS", "10"))

    def __enter__(self):
        self.file = open(self.path, "a", encoding="utf-8")  # pylint: disable=consider-using-with
        while True:
            try:
                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return self
            except BlockingIOError as busy:
                if time.monotonic() > self.deadline:
                    raise Failure(f"can't lock file '{self.path}' - got timeout") from busy
                time.sleep(0.02)

    def __exit__(self, *_error):
        self.file.close()


class Vm:
    def __init__(self, node, vmid):
        self.node, self.vmid = node, vmid
        self.path = node.config(vmid)
        self.load()

    def load(self):
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError as missing:
            relative = self.path.relative_to(self.node.pve)
            raise Failure(f"Configuration file '{relative}' does not exist") from missing
        self.digest = hashlib.sha1(raw).hexdigest()
        self.sections = parse(raw)
        self.own = self.sections[0][2]

    def pending(self):
        for name, _comments, values in self.sections:
            if name and name.upper() == "PENDING":
                return values
        self.sections.insert(1, ["PENDING", [], {}])
        return self.sections[1][2]

    def save(self):
        aside = self.path.with_suffix(".tmp")
        aside.write_bytes(render(self.sections))
        aside.rename(self.path)

    def check_lock(self):
        if "lock" in self.own:
            raise Failure(f"VM is locked ({self.own['lock']})")

    def apply_pending(self):
        pending = self.pending()
        for key in re.split(r"[,; ]+", pending.pop("delete", "")):
            self.own.pop(key.lstrip("!"), None)
        self.own.update(pending)
        pending.clear()

    def run_hook(self, phase, stop_on_error=False):
        if "hookscript" not in self.own:
            return
        script = self.node.top / self.own["hookscript"].replace("local:", "")
        # Output is copied until the last process that holds it has closed it, as PVE::Tools::run_command does.
        done = subprocess.run([script, str(self.vmid), phase], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        sys.stdout.write(done.stdout.decode("utf-8", "replace"))
        if done.returncode and stop_on_error:
            raise Failure(f"hookscript error for {self.vmid} on {phase}: command failed: exit code {done.returncode}")


def pop_option(words, name):
    if name not in words:
        return None
    at = words.index(name)
    value = words[at + 1]
    del words[at:at + 2]
    return value


def qm_set(node, vmid, words):
    digest, delete, hookscript = (pop_option(words, name) for name in ("--digest", "--delete", "--hookscript"))
    args = pop_option(words, "--args")
    if words or args is not None and "\n" in args:
        raise Failure(f"Unknown option: {words}")
    with Lock(node, vmid):
        vm = Vm(node, vmid)
        if digest and digest != vm.digest:
            raise Failure("checksum mismatch (file change by other user?)")
        vm.check_lock()
        print(f"update VM {vmid}: -args {args}")
        pending = vm.pending()
        if hookscript is not None:
            vm.own["hookscript"] = hookscript
        if delete and delete not in vm.own and delete not in pending:
            print(f"cannot delete '{delete}' - not set in current configuration!", file=sys.stderr)
        elif delete == "hookscript":  # takes effect at once, as setting it does
            del vm.own[delete]
        elif delete:
            pending.pop(delete, None)
            pending["delete"] = ",".join(sorted({*filter(None, pending.get("delete", "").split(",")), delete}))
        if args is not None:
            pending["args"] = as_stored(args)
            left = [key for key in pending.pop("delete", "").split(",") if key and key != "args"]
            pending.update({"delete": ",".join(left)} if left else {})
        if pending.get("args") == vm.own.get("args"):
            pending.pop("args", None)
        if pending.get("delete") == "args" and "args" not in vm.own:
            del pending["delete"]
        if not node.is_running(vmid):
            vm.apply_pending()
        vm.save()


def qm_config(node, vmid, words):
    vm = Vm(node, vmid)
    if "--current" not in words:
        vm.apply_pending()
    print("".join(f"{key}: {value}\n" for key, value in sorted(vm.own.items())) + f"digest: {vm.digest}")


def qm_start(node, vmid, _words):
    with Lock(node, vmid):
        vm = Vm(node, vmid)
        if "template" in vm.own:
            raise Failure("you can't start a vm if it's a template")
        vm.check_lock()
        if node.is_running(vmid):
            raise Failure(f"VM {vmid} already running")
        vm.apply_pending()
        vm.save()
        vm.run_hook("pre-start", stop_on_error=True)
        words = split_args(vm.own.get("args", "").encode("utf-8", "surrogateescape"))
        (node.top / "run" / str(vmid)).write_text(json.dumps([word.hex() for word in words]))
        vm.run_hook("post-start")


def qm_stop(node, vmid, _words):
    with Lock(node, vmid):
        vm = Vm(node, vmid)
        vm.run_hook("pre-stop")
        (node.top / "run" / str(vmid)).unlink(missing_ok=True)
        vm.apply_pending()
        vm.save()
        vm.run_hook("post-stop")


def qm_reboot(node, vmid, words):
    qm_stop(node, vmid, words)
    qm_start(node, vmid, words)


def qm_list(node, _vmid, _words):
    print("      VMID NAME                 STATUS     MEM(MB)    BOOTDISK(GB) PID")
    for path in sorted(node.config(0).parent.glob("*.conf")):
        vm = Vm(node, path.stem)
        state = "running" if node.is_running(path.stem) else "stopped"
        print(f"{path.stem:>10} {vm.own.get('name', 'VM ' + path.stem):<20} {state:<10} {vm.own.get('memory', 512):<10}")


VERBS = {"set": qm_set, "config": qm_config, "start": qm_start, "stop": qm_stop, "shutdown": qm_stop, "reboot": qm_reboot,
         "list": qm_list}


def main():
    node = FakePve.__new__(FakePve)
    node.top = pathlib.Path(sys.argv[1])
    node.pve = node.top / "pve"
    with open(node.top / "calls", "a", encoding="utf-8") as calls:
        calls.write(json.dumps(sys.argv[2:]) + "\n")
    if os.geteuid() != 0:
        sys.exit("please run as root")
    try:
        VERBS[sys.argv[2]](node, (sys.argv[3:] or [""])[0], sys.argv[4:])
    except Failure as failure:
        print(failure, file=sys.stderr)
        sys.exit(255)


if __name__ == "__main__":
    main()
