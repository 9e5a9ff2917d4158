"""Programs that mean harm, and programs that are right, in real processes."""

import asyncio
import functools
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from touchstone_runtime import trials
from touchstone_runtime.trials import LATE, Trial


async def tried(program: str, *tests: str, seconds: int = 5, mebibytes: int = 512) -> Trial:
    return await trials.run(program, tests, timeout_seconds=seconds, memory_bytes=mebibytes << 20)


@pytest.mark.parametrize(
    ("program", "test"),
    [
        ("def f(x): return x + 1", "assert f(1) == 2"),
        ("def f(x):\n  yield from range(x)", "assert list(f(3)) == [0, 1, 2]"),
        ("def f(x): x.sort()", "a = [3, 1]\nf(a)\nassert a == [1, 3]"),
        ("def f(g, x): return g(x)", "assert f(lambda x: x * 2, 4) == 8"),
        ("def f(): raise ValueError('no')", "try:\n  f()\nexcept ValueError as e:\n  assert str(e) == 'no'"),
        ("import math\ndef f(): return math.inf, 1 << 80, b'x', {1: {2}}, 1j", "assert f() == (math.inf, 1 << 80, b'x', {1: {2}}, 1j)"),
        ("class P:\n  def __init__(s, a): s.a = a\ndef f(p): return p.a", "p = P(3)\nassert f(p) == 3\np.a = 4\nassert f(p) == 4"),
        ("import threading\ndef f():\n  r = []\n  t = threading.Thread(target=lambda: r.append(1))\n  t.start(); t.join()\n  return r", "assert f() == [1]"),
        ("import asyncio\ndef f():\n  async def g(): return 3\n  return asyncio.run(g())", "assert f() == 3"),
        ("import json, re, collections, decimal\ndef f(): return decimal.Decimal('1.5')", "assert f() == decimal.Decimal('1.5')"),
    ],
)  # fmt: skip
async def test_what_computes_only_passes(program: str, test: str) -> None:
    assert await tried(program, test) == Trial(loaded=True, passed=True, error="")


@pytest.mark.parametrize(
    "body",
    [
        "import os; os.fork()",
        "import subprocess; subprocess.run(['true'])",
        "import socket; socket.socket()",
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "import socket; socket.socket(socket.AF_UNIX)",
        "open('/etc/passwd').read()",
        "open('/proc/self/environ').read()",
        "import os; open(f'/proc/{os.getppid()}/environ').read()",
        "import os; os.listdir('/proc')",
        "open('left-behind', 'w')",
        "open('/tmp/left-behind', 'w')",
        "import os; os.symlink('/etc/passwd', 'link'); open('link')",
        "import os; os.kill(os.getppid(), 9)",
        "import os; os.killpg(0, 9)",
        "import os; os.setsid()",
        "import os; os.execv('/bin/true', ['true'])",
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
        "import ctypes; libc = ctypes.CDLL(None, use_errno=True); assert libc.ptrace(16, 1, 0, 0) == 0",
    ],
)
async def test_what_reaches_out_is_refused(body: str) -> None:
    found = await tried(f"def f():\n  {body.replace('; ', chr(10) + '  ')}\n  return True", "assert f()")
    assert not found.passed
    assert found.loaded
    assert found.error.split(":")[0] in ("PermissionError", "OSError", "AssertionError", "ValueError")


async def test_nothing_comes_in_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOUCHSTONE_DATABASE_URL", "postgresql://user:secret@host/db")
    seen = await tried("import os\ndef f(): return dict(os.environ)", "assert 'secret' not in str(f()), f()")
    assert seen.passed, seen.error


@pytest.mark.parametrize(
    "program",
    [
        "print('passed')\nimport os\nos._exit(0)",
        "import sys\nsys.exit(0)",
        "raise SystemExit",
        "import os\nfor fd in range(3, 64):\n  try: os.write(fd, b'{\"passed\": true, \"loaded\": true, \"error\": \"\"}')\n  except OSError: pass\ndef f(): pass",
        "import builtins\nbuiltins.compile = builtins.exec = lambda *a, **k: None\ndef f(): return 0",
        "class Yes:\n  def __eq__(self, other): return True\ndef f(): return Yes()",
        "class Yes(int):\n  def __eq__(self, other): return True\n  __hash__ = int.__hash__\ndef f(): return Yes(3)",
        "import gc, sys\ndef f():\n  for o in gc.get_objects():\n    if isinstance(o, dict) and 'nonce' in o: return 42\n  for frame in sys._current_frames().values():\n    while frame:\n      if 'order' in frame.f_locals: return 42\n      frame = frame.f_back\n  return 0",
        "import signal\nsignal.raise_signal(signal.SIGKILL)",
        "def f(): return float('nan')",
    ],
)  # fmt: skip
async def test_a_program_cannot_say_itself_that_it_passed(program: str) -> None:
    assert not (await tried(program, "assert f() == 42")).passed


async def test_memory_processors_and_output_are_bounded() -> None:
    found = await tried("def f(): return len(bytearray(1 << 30))", "f()")
    assert "MemoryError" in found.error
    for body in ("while True: pass", "while True: print('x' * 1000)", "import time; time.sleep(60)"):
        found = await tried(f"def f():\n  {body}", "f()", seconds=1)
        assert not found.passed
        assert LATE in found.error
    found = await tried("def f(): return f()", "f()")
    assert "RecursionError" in found.error
    found = await tried("def f(): return 'x' * (200 << 20)", "f()")
    assert not found.passed


async def test_tests_are_confined_too() -> None:
    assert not (await tried("", "open('/etc/passwd')")).passed
    assert not (await tried("", "import socket; socket.socket()")).passed
    found = await tried("", "while True: pass", seconds=1)
    assert found.error == LATE


async def test_tests_may_print() -> None:
    """What they printed stood before the finding, which could then not be read: the program had not passed."""
    assert (await tried("def f(): return 1", "print(f())", "assert f() == 1; print('x' * 100_000)")).passed


async def test_no_connection_reaches_a_server_on_this_machine(server: str) -> None:
    host, port = server.split(":")
    program = (
        "import ctypes, struct\n"
        "libc = ctypes.CDLL(None)\n"
        "def f(port):\n"
        "  s = libc.socket(2, 1, 0)\n"
        "  address = struct.pack('<H', 2) + struct.pack('>H', port) + bytes([127, 0, 0, 1]) + bytes(8)\n"
        "  return s, libc.connect(s, address, 16)\n"
    )
    assert (await tried(program, f"assert f({port}) == (-1, -1)")).passed
    with socket.create_connection((host, int(port)), timeout=5):
        pass


async def test_trials_leave_nothing_behind(tmp_path: Path) -> None:
    async def mine() -> set[str]:
        listed = await asyncio.create_subprocess_exec("pgrep", "-f", "sandbox import trial", stdout=-1)
        return set((await listed.communicate())[0].decode().split())

    before = await mine()
    await tried("import time\ndef f(): time.sleep(60)", "f()", seconds=1)
    await tried("import os\nos._exit(0)", "f()")
    assert await mine() <= before


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield f"127.0.0.1:{found.server_port}"
        found.shutdown()
        thread.join()
