"""Minutes under load, with the keys rotated every few seconds, slow and broken clients, configurations that
arrive broken or not at all, and killed workers. `make soak`; MINUTES says how long for each host."""

import contextlib
import os
import pathlib
import random
import resource
import signal
import socket
import statistics
import struct
import subprocess
import threading
import time

import gates
import hosts
from test_reload import BAD, KEYS, PLACE, Client, bearer, check_in_force, settings

MINUTES = float(os.environ.get("MINUTES", "5"))
PAUSE = 0.005  # seconds between the requests of a client: the machine has other things to do
GROWTH = 1.1, 8 << 20  # what memory may grow to: a tenth and 8 MiB above the first fifth of the time
WORKERS = ("nginx", "lua")  # hosts with processes that may be killed, for which others come


class Wrong(list):
    """What was wrong, but for answers that were lost while a worker was killed: these are counted."""

    def __init__(self, killing):
        super().__init__()
        self.killing, self.lost = killing, 0

    def append(self, found):
        if self.killing.is_set() and (isinstance(found, str) or found[1] is None):
            self.lost += 1
        else:
            super().append(found)


class Load(Client):
    """A client that begins anew after an answer was lost so."""

    def __init__(self, port, keep_alive, killing):
        super().__init__(port, keep_alive)
        self.pause, self.wrong = PAUSE, Wrong(killing)

    def run(self):
        while not self.stopping.is_set() and not self.wrong:
            super().run()


class Nuisance(threading.Thread):
    """Clients that send half of something, or send it byte by byte, or go away with a reset."""

    PIECES = (
        b"GET /v1/models HTTP/1.1\r\nHost: gate.test\r\nAuthoriz",
        b"POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 100000\r\n\r\n{",
        b"POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\nx-api-key: no\r\n\r\n5\r\nab",
        b"OPTIONS / HTTP/1.1\r\nHost: gate.test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: gate.test\r\nx-a: " + b"k" * 7000 + b"\r\n",
    )

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.count = port, 0
        self.stopping = threading.Event()

    def run(self):
        chance = random.Random(1)
        while not self.stopping.is_set():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as client:
                piece = chance.choice(self.PIECES)
                if chance.random() < 0.3:
                    for byte in piece[:40]:
                        client.send(bytes([byte]))
                        time.sleep(0.02)
                else:
                    client.sendall(piece)
                if chance.random() < 0.5:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    time.sleep(0.2)
            self.count += 1
            time.sleep(0.02)


def processes(root):
    """The process and all that it started."""
    found = [root]
    for process in found:
        with contextlib.suppress(OSError):
            path = pathlib.Path(f"/proc/{process}/task")
            for task in path.iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def memory(gate):
    """Bytes, what is shared by several counted once."""
    total = 0
    for process in processes(gate.process.pid):
        with contextlib.suppress(OSError), open(f"/proc/{process}/smaps_rollup") as text:
            total += sum(int(line.split()[1]) << 10 for line in text if line.startswith("Pss:"))
    return total


def refuses_a_cut_file(gate):
    """The configuration is written in place, on a disk that is full before its end."""
    text = b'{"auth_mode":"off","keys":[{"key":"sk-' + b"z" * 4000 + b'"}]}'

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(text) // 2, len(text) // 2))

    with open(gate.config, "wb") as file:
        failed = subprocess.run(["cat"], input=text, stdout=file, stderr=subprocess.DEVNULL, check=False, preexec_fn=limit)
    assert failed.returncode != 0 and 0 < gate.config.stat().st_size < len(text)
    gate.refuses_what_is_there("valid JSON")


def refuses_a_folder(gate):
    gate.config.unlink()
    gate.config.mkdir()
    try:
        gate.refuses_what_is_there("cannot be read", "directory", "regular file", "not a file")
    finally:
        gate.config.rmdir()


# What must not take effect.
BROKEN = [
    *(lambda gate, text=text, says=says: gate.refuses(text, says) for text, says in BAD.items()),
    refuses_a_cut_file,
    refuses_a_folder,
]


KILLED = "exited on signal 9"


def look_over(gate, killed):
    """The log so far, which is then begun anew: nothing wrong, each allow by its generation's key, no key."""
    text = gate.log()
    bad = [line for line in text.splitlines() if any(sign in line for sign in gates.SIGNS)]
    # nginx says what we did, and that is no fault of its.
    assert not [line for line in bad if not (killed and KILLED in line)], bad
    assert not [key for key in KEYS.values() if hosts.runs(key, text, 12)]
    decided = 0
    for record in gate.records():
        decided += 1
        source = record.get("source") or ""
        if record["verdict"] == "allow" and source.startswith("x-"):
            assert record["key_index"] == PLACE[source.removeprefix("x-")], record
    os.truncate(gate.written, 0)
    return decided


def test_soak(new_gate, upstream):
    def answer(handler, _):
        upstream.requests.clear()
        with contextlib.suppress(OSError):
            handler.reply(200, "text/plain", b"upstream\n")

    upstream.answer = answer
    gate = new_gate(upstream.port, **settings("a"))
    killing = threading.Event()
    clients = [Load(gate.port, keep_alive, killing) for keep_alive in (True, False, True, False)]
    nuisances = [Nuisance(gate.port) for _ in range(2)]
    for thread in (*clients, *nuisances):
        thread.start()
    end = time.monotonic() + MINUTES * 60
    changes = refused = kills = decided = 0
    samples = []
    try:
        while time.monotonic() < end:
            name = "bca"[changes % 3]
            gate.configure(settings(name), lambda name=name: hosts.ask(gate.port, headers=bearer(KEYS[name])).status == 200)
            changes += 1
            check_in_force(gate.port, name)
            BROKEN[refused % len(BROKEN)](gate)
            refused += 1
            check_in_force(gate.port, name)
            kill = gate.host in WORKERS and changes % 5 == 0
            if kill:
                killing.set()
                worker = random.choice(processes(gate.process.pid)[2:])
                os.kill(worker, signal.SIGKILL)
                kills += 1
                time.sleep(1)
                killing.clear()
                hosts.wait_until(lambda: KILLED in gate.log())
            decided += look_over(gate, kill)
            samples.append(memory(gate))
            assert not any(client.wrong for client in clients), [client.wrong for client in clients]
            time.sleep(1)  # a change takes two seconds itself
    finally:
        for thread in (*clients, *nuisances):
            thread.stopping.set()
    for thread in (*clients, *nuisances):
        thread.join(20)
        assert not thread.is_alive()
    assert not any(client.wrong for client in clients), [client.wrong for client in clients]
    fifth = max(1, len(samples) // 5)
    first, last = statistics.median(samples[fifth : 2 * fifth] or samples), statistics.median(samples[-fifth:])
    asked = sum(client.count for client in clients)
    assert decided > asked / 2, "the log has few of the decisions"
    print(
        f"{gate.host}: {asked} requests in {MINUTES:g} minutes, {changes} changes, {refused} refused, "
        f"{sum(thread.count for thread in nuisances)} broken clients, {kills} workers killed, "
        f"{sum(client.wrong.lost for client in clients)} answers lost by that, none otherwise, "
        f"memory {first / 1024:.0f} to {last / 1024:.0f} KiB"
    )
    assert last < first * GROWTH[0] + GROWTH[1], samples
