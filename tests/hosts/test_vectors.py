"""All vectors through every host that has an adapter, over sockets. What a host cannot be asked is in
bindings/HOST/not-carried.txt, no name more and none less; --update writes it anew."""

import concurrent.futures
import json
import os
import re

import gates
import hosts
import pytest
import upstreams

GROUPS = [
    path.stem for path in sorted(hosts.VECTORS.glob("*.jsonl")) if path.stem not in ("config_errors", "input_errors")
]
FIELDS = ("verdict", "reason", "effective_mode", "source", "header_index", "key_index", "findings")
PREFLIGHT = ("OPTIONS", "/sentinel", [("Origin", "http://a"), ("Access-Control-Request-Method", "GET")])


def load(group):
    with open(hosts.VECTORS / f"{group}.jsonl", encoding="ascii") as file:
        return [json.loads(line) for line in file]


def by_config(groups):
    found = {}
    for group in groups:
        for vector in load(group):
            found.setdefault(json.dumps(vector["input"]["config"]), []).append(vector)
    return found


def not_http(request):
    """Why no bytes on a connection mean this request, or None."""
    method, target, headers = request["method"], request["target"], request["headers"]
    texts = [method, target, *(text for header in headers for text in header)]
    if any("\n" in text for text in texts):
        return "a line feed ends the line"
    if " " in method or target != target.strip(" "):
        return "a space ends the method or the target"
    if any(":" in name for name, _ in headers):
        return "a name is what stands before the first colon"
    if any(value.endswith("\r") for _, value in headers):
        return "a CR before the line's end is no part of the value"
    return None


def sentinel(vector):
    """A request that another rule decides than the vector's, and that rule's reason."""
    config, want = vector["input"]["config"], vector["output"]
    if want["reason"] != "preflight" and config.get("preflight") != "none":
        return PREFLIGHT, "preflight"
    if want["effective_mode"] == "off":
        reason = "auth_off"
    else:
        reason = "credential_missing" if config.get("api_key") or config.get("keys") else "no_key_configured"
    if reason != want["reason"]:
        return ("GET", "/sentinel", []), reason
    assert reason == "credential_missing", f"{vector['name']}: every request is decided so"
    source = config.get("sources", [{"name": "x-api-key"}])[0]["name"]
    return ("GET", "/sentinel", [(source, "no-key-at-all")]), "key_mismatch"


def said(record):
    """What a record says, as the vectors do."""
    got = {name: record.get(name) for name in FIELDS}
    if isinstance(got["findings"], str):
        got["findings"] = [code for code in re.split(r"[, ]+", got["findings"]) if code]
    return got


class Asking:
    """The vectors of one configuration, one after the other."""

    def __init__(self, gate):
        self.gate = gate
        self.seen = 0  # records that are accounted for

    def ask(self, method, target, headers):
        """The status, or None for no answer."""
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
        if not any(name.lower() == "host" for name, _ in headers):
            lines.append("Host: gate.test")
        with hosts.Connection(self.gate.port) as connection:
            try:
                connection.send("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1"))
                return connection.response(head=method == "HEAD")
            except ConnectionError:
                return None

    def records(self, count):
        hosts.wait_until(lambda: len(self.gate.records()) >= count)
        return self.gate.records()

    def decision(self, *request):
        """The record of a request that is decided."""
        self.ask(*request)
        self.seen += 1
        return self.records(self.seen)[-1]

    def record(self, vector):
        """The record of a request that has been answered, or None if the host never asked the core:
        then the record of a request that is sent behind it, by another rule, is the next."""
        behind, reason = sentinel(vector)
        self.ask(*behind)
        first = self.records(self.seen + 1)[self.seen]
        is_behind = first["reason"] == reason
        self.seen += 1 if is_behind else 2
        self.records(self.seen)
        return None if is_behind else first

    def run(self, vector):
        """Why the host cannot be asked this, or None; and what is wrong, or None."""
        request, want = vector["input"], vector["output"]
        if reason := not_http(request):
            return reason, None
        response = self.ask(request["method"], request["target"], request["headers"])
        status = response and response.status
        if status in (101, 200, 401):
            record = self.records(self.seen + 1)[self.seen]
            self.seen += 1
        elif (record := self.record(vector)) is None:
            return f"the host answers {status or 'nothing'} before it decides", None
        got = said(record)
        expected = {name: want[name] for name in FIELDS}
        for name in ("findings", "header_index"):  # these not every host logs
            if name not in record:
                expected[name] = got[name] = None
        if got != expected:
            left, cut, _ = request["target"].partition("#")
            if cut and got == said(self.decision(request["method"], left, request["headers"])):
                return gates.CUT, None
            return None, f"expected {expected}, got {got}"
        if want["verdict"] == "allow":
            # What it allows, a host may still find no way to forward.
            return None, None if status in (101, 200, 400, 404) else f"allowed with {status}"
        if status != 401 or response.get("www-authenticate") is None:
            return None, f"denied with {status}"
        code = "missing" if want["reason"] == "credential_missing" else "invalid"
        if request["method"] != "HEAD" and response.json()["error"]["code"] != f"{code}_api_key":
            return None, f"denied with {response.body!r}"
        return None, None


def run_config(host, folder, upstream, config, vectors):
    """(name, why it is not carried, what is wrong) of each."""
    try:
        gate = gates.Gate(host, folder, upstream.port, json.loads(config))
    except gates.Refused as refused:
        status, output = refused.args
        reason = f"the configuration: {output.strip()}" if status == 1 else None
        return [(vector["name"], reason, None if reason else output) for vector in vectors]
    try:
        asking = Asking(gate)
        return [(vector["name"], *asking.run(vector)) for vector in vectors]
    finally:
        gate.stop()


@pytest.mark.parametrize("host", gates.CHOSEN)
def test_vectors(host, tmp_path, request):
    groups = by_config(GROUPS)
    with upstreams.Recorder() as upstream, concurrent.futures.ThreadPoolExecutor(2 * os.cpu_count()) as pool:
        running = []
        for config, vectors in groups.items():
            folder = tmp_path / str(len(running))
            folder.mkdir()
            running.append(pool.submit(run_config, host, folder, upstream, config, vectors))
        results = [result for one in running for result in one.result()]
        if any(reason == gates.CUT for _, reason, _ in results):
            assert not any("#" in target for target in upstream.targets())
    wrong = [(name, problem) for name, _, problem in results if problem]
    not_carried = {name: reason for name, reason, _ in results if reason}
    listed = gates.not_carried(host)
    others = {name: listed.pop(name) for name in gates.NAMES if name in listed}
    if request.config.getoption("--update"):
        gates.write_not_carried(host, not_carried | others)
        listed = not_carried
    assert not wrong, f"{len(wrong)} of {len(results)} vectors differ: {wrong[:10]}"
    assert not_carried == listed
    print(f"{host}: {len(results) - len(listed)} vectors, {len(listed)} not carried")
