"""Runs one program that nobody trusts: the script that `code_run` starts in a process of its own.

It takes rights away from itself first, then runs the program, then says on a pipe how it ended. Nothing of evalharness
is imported: the program would find it.

What is taken away on Linux: sockets and further processes (seccomp), files but Python's own and the working folder
(Landlock), memory, processor time and file sizes (limits). A program that knows this script can still lie about its
end, for both live in one process.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import struct
import sys
import types
import warnings
from typing import Any

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

MAX_SAID = 400

# ── seccomp: no sockets, no processes, no hand on other processes ───────────────────────────────────────────────────

_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NR, _ARCH, _ARG0 = 0, 4, 16
_CLONE_THREAD = 0x10000
_X32 = 0x40000000

_X86_64: dict[str, Any] = {
    "arch": 0xC000003E,
    "clone": 56,
    "own_process": (62, 234, 302),  # kill, tgkill, prlimit64: of itself only
    "denied": (
        41, 57, 58, 59, 322, 101, 310, 311, 200, 129, 297, 434, 424, 438, 425, 321, 298, 323, 250, 248, 249,
        165, 166, 272, 308, 155, 161, 175, 313, 176, 246, 320, 169, 167, 168, 170, 171, 164, 227, 159, 305, 29, 64,
        68, 240, 304, 179, 163, 103, 172, 173, 90, 91, 268, 452, 92, 93, 94, 260, 188, 189, 190, 197, 198, 199,
        76, 280, 132, 235, 261, 30, 31, 65, 66, 69, 70, 71, 220, 141, 251,
    ),
}  # fmt: skip
_AARCH64: dict[str, Any] = {
    "arch": 0xC00000B7,
    "clone": 220,
    "own_process": (129, 131, 261),
    "denied": (
        198, 221, 281, 117, 270, 271, 130, 138, 240, 434, 424, 438, 425, 280, 241, 282, 219, 217, 218, 40, 39, 97,
        268, 41, 51, 105, 273, 106, 104, 294, 142, 224, 225, 161, 162, 170, 112, 171, 266, 194, 190, 186, 180, 265,
        60, 89, 116, 52, 53, 452, 54, 55, 5, 6, 7, 14, 15, 16, 45, 88,
        195, 196, 187, 188, 189, 191, 192, 193, 140, 30,
    ),
}  # fmt: skip
_CLONE3 = 435


def _filter(table: dict[str, Any], own: int) -> bytes:
    """The program of the filter: what a process may ask of the kernel."""
    rows = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, table["arch"]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NR),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        # The C library falls back to clone, whose flags can be read.
        (_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
        (_EQUAL, 0, 4, table["clone"]),
        (_LOAD, 0, 0, _ARG0),
        (_ANY_BIT, 0, 1, _CLONE_THREAD),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
    ]
    for number in table["own_process"]:
        rows += [
            (_EQUAL, 0, 5, number),
            (_LOAD, 0, 0, _ARG0),
            (_EQUAL, 1, 0, own),
            (_EQUAL, 0, 1, 0 if number in (302, 261) else own),
            (_RETURN, 0, 0, _ALLOW),
            (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        ]
    for number in table["denied"]:
        rows += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | errno.EPERM)]
    rows.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("HBBI", *row) for row in rows)


def _deny_calls(libc: ctypes.CDLL) -> bool:
    table = {"x86_64": _X86_64, "aarch64": _AARCH64}.get(platform.machine())
    if table is None:
        return False
    code = _filter(table, os.getpid())
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    held = ctypes.create_string_buffer(program, len(program))
    return bool(libc.prctl(22, ctypes.c_ulong(2), ctypes.byref(held), 0, 0) == 0)


# ── Landlock: Python's own files to read, the working folder to write ───────────────────────────────────────────────

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_EXECUTE, _WRITE, _READ, _READ_DIR, _TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
_READABLE_FILES = ("/etc/ld.so.cache", "/etc/localtime", "/dev/urandom", "/dev/random", "/dev/zero")
_READABLE_FOLDERS = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/usr/share/zoneinfo")


def _deny_files(libc: ctypes.CDLL, folder: str) -> bool:
    version = libc.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint(1))
    if version < 1:
        return False
    handled = (1 << 13) - 1
    handled |= (1 << 13) if version >= 2 else 0
    handled |= _TRUNCATE if version >= 3 else 0
    attribute = struct.pack("Q", handled)
    rules = libc.syscall(_CREATE, attribute, ctypes.c_size_t(len(attribute)), ctypes.c_uint(0))
    if rules < 0:
        return False
    read = _EXECUTE | _READ
    truncate = handled & _TRUNCATE
    allowed = [(path, read | _READ_DIR) for path in (*_READABLE_FOLDERS, *_python_folders())]
    allowed += [(path, _READ) for path in _READABLE_FILES]
    allowed += [("/dev/null", _READ | _WRITE | truncate), (folder, handled & ~_EXECUTE)]
    for path, access in allowed:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        if not os.path.isdir(path):  # noqa: PTH112
            access &= _EXECUTE | _WRITE | _READ | _TRUNCATE
        rule = struct.pack("=Qi", access, descriptor)
        done = libc.syscall(_ADD, rules, ctypes.c_uint(1), rule, ctypes.c_uint(0))
        os.close(descriptor)
        if done != 0:
            return False
    return bool(libc.syscall(_RESTRICT, rules, ctypes.c_uint(0)) == 0)


def _python_folders() -> set[str]:
    """Where Python and the packages are, none of them a folder that holds everything else."""
    places = {sys.prefix, sys.base_prefix, sys.exec_prefix, *(path for path in sys.path if os.path.isdir(path))}  # noqa: PTH112
    found = set()
    for place in map(os.path.realpath, places):
        if place in ("/usr", "/usr/local"):
            found.add(os.path.realpath(os.path.join(place, "lib")))  # noqa: PTH118
        elif place not in ("/", os.path.expanduser("~")):  # noqa: PTH111
            found.add(place)
    return found


# ── limits ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _limit(order: dict[str, Any]) -> None:
    if resource is None:
        return
    seconds = int(order["cpu_s"]) + 1
    for name, value in (
        ("RLIMIT_AS", order["memory_bytes"]),
        ("RLIMIT_CPU", seconds),
        ("RLIMIT_FSIZE", order["file_bytes"]),
        ("RLIMIT_NOFILE", 64),
        ("RLIMIT_CORE", 0),
    ):
        number = getattr(resource, name, None)
        if number is None:
            continue
        hard = resource.getrlimit(number)[1]
        wanted = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(number, (wanted, wanted))
        except (OSError, ValueError):  # macOS refuses a limit of the address space
            continue


def protect(folder: str) -> list[str]:
    """Take rights away from this process for good; the names of what could be taken."""
    if not sys.platform.startswith("linux"):
        return []
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    if libc.prctl(38, 1, 0, 0, 0) != 0:  # no new privileges: the two others need it
        return []
    # Root keeps its name and loses its rights: it could raise its own limits.
    libc.capset(struct.pack("Ii", 0x20080522, 0), bytes(24))
    taken = ["files"] if _deny_files(libc, folder) else []
    return [*taken, "network"] if _deny_calls(libc) else taken


def _run(program: str) -> tuple[str, str]:
    """(how the program ended, what it said)."""
    try:
        code = compile(program, "<program>", "exec", dont_inherit=True)
    except MemoryError:
        return "out_of_memory", "MemoryError"
    except (SyntaxError, ValueError, RecursionError, OverflowError) as error:
        return "syntax_error", f"{type(error).__name__}: {error}"
    # A module of its own: pickle, doctest, unittest and typing look classes up in sys.modules["__main__"].
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    module.__dict__["__builtins__"] = __builtins__
    try:
        exec(code, module.__dict__)
    except MemoryError:
        return "out_of_memory", "MemoryError"
    except AssertionError as error:
        return "failed", f"AssertionError: {error}".rstrip(": ")
    except (SystemExit, KeyboardInterrupt) as error:
        return "exited", f"{type(error).__name__}: {error}".rstrip(": ")
    except BaseException as error:  # noqa: BLE001 - whatever the program raises is its end
        return "raised", f"{type(error).__name__}: {error}".rstrip(": ")
    return "passed", ""


def main() -> None:
    """Read the order from standard input, obey it, and report."""
    order = json.loads(sys.stdin.buffer.read())
    descriptor, token = int(order.pop("descriptor")), order.pop("token")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    warnings.simplefilter("ignore")
    _limit(order)
    taken = protect(order["folder"])
    missing = [name for name in order["needs"] if name not in taken]
    os.write(descriptor, b"\n")  # from here on the time is the program's
    state, said = ("unprotected", " ".join(missing)) if missing else _run(order["program"])
    report = json.dumps({"token": token, "state": state, "said": said[:MAX_SAID], "taken": taken})
    os.write(descriptor, report.encode("ascii"))
    os._exit(0)


if __name__ == "__main__":
    main()
