#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Proves of static libraries that they can do no I/O, read no clock, log nothing and keep no state: by the symbols
that they want from outside, and by the sections that their own symbols stand in."""
import re
import subprocess
import sys

# Memory, text and arithmetic. What GLib offers beyond that (files, clocks, logging, main loops) is not here.
ALLOWED = re.compile(r"""^(
  vj_\w+
| g_(malloc|malloc0|realloc|malloc_n|malloc0_n|realloc_n|try_\w+|free|clear_pointer|memdup2|steal_\w+)
| g_(str|ascii_|utf8_|string_|ptr_array_|array_|byte_array_|hash_table_|int64_|int_|direct_|list_|slist_|markup_|qsort_with_data)\w*
| g_uuid_string_is_valid
| g_(error_\w+|set_error\w*|clear_error|propagate\w*error|quark_from_static_string|intern_static_string)
| g_(return_if_fail_warning|assertion_message\w*|bytes_\w+)
| json_\w+ | g_object_unref | g_signal_connect_data | g_type_check_instance_\w+
| mem(cpy|move|set|cmp|chr|rchr|mem) | str\w+ | __(mem|str)\w+_chk | bsearch | qsort | abort | sqrt | ceil | pow
| __stack_chk_fail | __errno_location | __ctype_\w+ | __isoc\d+_\w+ | __(u?div|u?mod|mul|float)\w+ | _GLOBAL_OFFSET_TABLE_
| __(asan|ubsan|sanitizer|tsan|llvm|gcov|gcov_\w|odr_asan)\w*
)$""", re.X)
FORBIDDEN = re.compile(r"^(strerror_r|strftime\w*|json_\w+_(file|stream\w*|mapped_file)|json_parser_load_from_(file|stream)\w*)$")
# One-time registration of an error domain (G_DEFINE_QUARK), and what sanitizers and coverage add.
HARMLESS = re.compile(r"^(q\.\d+|__odr_asan.*|\.?L(ASAN|ubsan).*|__gcov.*|\.L.*|.*\.L(ASAN|ubsan).*)$")
WRITABLE = re.compile(r"^(\.data|\.bss|\.tdata|\.tbss|\*COM\*)(?!\.rel\.ro)")


def undefined(archive):
    """Symbols that each member of archive wants from outside it, as (member, symbol)."""
    text = subprocess.run(["nm", "-u", archive], check=True, capture_output=True, text=True).stdout
    member = "?"
    for line in text.splitlines():
        if line.endswith(":"):
            member = line[:-1]
        elif line.split()[:1] in (["U"], ["w"]):
            yield member, line.split()[1]


def objects(archive):
    """Data symbols of archive as (section, symbol)."""
    text = subprocess.run(["objdump", "-t", archive], check=True, capture_output=True, text=True).stdout
    for line in text.splitlines():
        found = re.match(r"^[0-9a-f]{16} .{7} (\S+)\s+([0-9a-f]+)\s+(.*)$", line)
        if found and int(found.group(2), 16) > 0:
            yield found.group(1), found.group(3)


def check(archive):
    for member, symbol in undefined(archive):
        if FORBIDDEN.match(symbol) or not ALLOWED.match(symbol):
            yield f"{archive}: {member} uses {symbol}, which no pure module may"
    for section, symbol in objects(archive):
        if WRITABLE.match(section) and not HARMLESS.match(symbol):
            yield f"{archive}: {symbol} is a writable global (in {section})"


def main():
    problems = [problem for archive in sys.argv[1:] for problem in check(archive)]
    print("\n".join(problems) or "purity: kept")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
