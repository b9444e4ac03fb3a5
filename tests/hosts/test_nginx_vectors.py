"""All vectors through a running nginx, over real sockets, in every way in which it asks the gate."""

import collections
import json
import re
import sys

import hosts
import pytest

sys.path.insert(0, str(hosts.ROOT / "bindings/nginx"))
import gate  # noqa: E402

GROUPS = sorted(path.stem for path in hosts.VECTORS.glob("*.jsonl"))
# These two hold configurations that are refused, and JSON that is no configuration.
REFUSED = {"config_errors", "input_errors"}

DECISION = ("verdict", "reason", "effective_mode", "source", "header_index", "key_index", "findings")

METHOD = re.compile(r"[A-Z_-]+")
TARGET = re.compile(r"(/|[A-Za-z][A-Za-z0-9+.-]*://[^/?#])[^\x00-\x20\x7f]*")
NAME = re.compile(r"[^\x00-\x20\x7f]+")
HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]+")
# Names of which nginx takes no second.
UNIQUE = ("authorization", "host")


def load(group):
    with open(hosts.VECTORS / f"{group}.jsonl", encoding="ascii") as file:
        return [json.loads(line) for line in file]


def directives(config):
    """The configuration of a vector in nginx's words, those of the adapter."""
    if "keys" in config:
        keys = [{**key, "label": label_of(index, key)} for index, key in enumerate(config["keys"])]
        config = {**config, "keys": keys}
    return gate.directives(config)


def label_of(index, key):
    # A key without a label gets one, so that the log tells which key matched.
    return key.get("label") or f"index-{index}"


def no_config(config):
    """Why nginx's configuration cannot say this, or None."""
    if config.get("sources") == []:
        return "config: no source at all"
    if config.get("exempt") == []:
        return "config: no exempt path at all"
    return None


def not_http(request):
    """Why no bytes on a connection to nginx mean this request, or None."""
    method, target, headers = request["method"], request["target"], request["headers"]
    if method.strip(" ") != method or target.strip(" ") != target:
        return "HTTP: a space around the method or the target"
    if "\n" in method + target or any("\n" in name + value for name, value in headers):
        return "HTTP: a line feed ends the line"
    if any(value.endswith("\r") for _, value in headers):
        return "HTTP: nginx counts a CR before the line's end to it"
    if any(name == "" or ":" in name for name, _ in headers):
        return "HTTP: a name is what stands before the first colon"
    return None


def refused(request):
    """Why nginx answers this request with an error of its own, or None."""
    target, headers = request["target"], request["headers"]
    if not METHOD.fullmatch(request["method"]):
        return "nginx: 400 for the method"
    if request["method"] in ("CONNECT", "TRACE"):
        return "nginx: 405 for CONNECT and TRACE"
    path = target.split("?")[0].split("#")[0]
    if not TARGET.fullmatch(target) or re.search(r"%00|%(?![0-9A-Fa-f]{2})", path):
        return "nginx: 400 for the target"
    if path.startswith("/../"):
        return "nginx: 400 for a target above the root"
    if not all(NAME.fullmatch(name) for name, _ in headers):
        return "nginx: 400 for a header's name"
    if any("\0" in value or "\r" in value for _, value in headers):
        return "nginx: 400 for NUL or CR in a value"
    names = [name.lower() for name, _ in headers]
    if any(names.count(name) > 1 for name in UNIQUE):
        return "nginx: 400 for a second Authorization or Host"
    if any(name.lower() == "host" and not HOST.fullmatch(value) for name, value in headers):
        return "nginx: 400 for Host"
    return None


# What is not carried, by reason. A change of the vectors changes the counts.
NOT_CARRIED = {
    "HTTP: a line feed ends the line": 15,
    "HTTP: a name is what stands before the first colon": 4,
    "HTTP: a space around the method or the target": 6,
    "HTTP: nginx counts a CR before the line's end to it": 4,
    "config: no exempt path at all": 3,
    "config: no source at all": 5,
    "nginx: 400 for Host": 1,
    "nginx: 400 for NUL or CR in a value": 27,
    "nginx: 400 for a header's name": 7,
    "nginx: 400 for a second Authorization or Host": 19,
    "nginx: 400 for a target above the root": 1,
    "nginx: 400 for the method": 30,
    "nginx: 400 for the target": 19,
    "nginx: 405 for CONNECT and TRACE": 6,
}


# Where the gate is asked: when the request comes, when it has been redirected (the headers are copied
# then) and another policy let it pass before, and for a subrequest of an open location.
WAYS = {
    "at-once": "location / { PASS }",
    "redirected": """location / { keygate_auth_mode off; keygate_explain off; try_files /none @again; }
        location @again { PASS }""",
    "subrequest": """location / { keygate off; auth_request /sub; PASS }
        location = /sub { internal; PASS }""",
}


@pytest.fixture(scope="module", params=WAYS)
def running(request, tmp_path_factory):
    """nginx with a server for each distinct configuration, each at an address of its own."""
    locations = WAYS[request.param]
    folder = tmp_path_factory.mktemp("vectors")
    port, backend = hosts.free_port(), hosts.free_port()
    addresses = {}
    servers = []
    for group in GROUPS:
        for vector in load(group) if group not in REFUSED else ():
            config = vector["input"]["config"]
            key = json.dumps(config, sort_keys=True)
            if key in addresses or no_config(config):
                continue
            n = len(addresses)
            addresses[key] = f"127.0.{1 + n // 250}.{1 + n % 250}"
            servers.append(
                f"server {{ listen {addresses[key]}:{port};\n"
                + directives(config)
                + "\n" + locations.replace("PASS", f"proxy_pass http://127.0.0.1:{backend}/ok$none;") + " }"
            )
    http = f"""
        map $host $none {{ default ""; }}
        large_client_header_buffers 8 256k;
        ignore_invalid_headers off;
        underscores_in_headers on;
        keygate on;
        keygate_explain on;
        proxy_method GET;
        proxy_pass_request_headers off;
        proxy_pass_request_body off;
        log_format decisions escape=none '{{"connection":"$connection","verdict":"$keygate_verdict",'
            '"reason":"$keygate_reason","source":"$keygate_source","label":"$keygate_key_label",'
            '"mode":"$keygate_effective_mode","decision":[$keygate_decision]}}';
        access_log {folder}/decisions.log decisions;
        server {{ listen 127.0.0.1:{backend}; keygate off; access_log off; return 200 "upstream"; }}
        """
    with hosts.Nginx(folder, http + "\n".join(servers)) as nginx:
        nginx.start(backend)
        yield nginx, port, addresses
    nginx.check_health()


def findings(nginx):
    """The codes in the error log, by the number of the connection."""
    found = {}
    for line in nginx.gate_lines():
        match = re.search(r"\*(\d+) keygate: .*?(?:, findings: ([a-z_ ]+))?, client: ", line)
        assert match, line
        assert match[1] not in found, f"two lines for one request: {line}"
        found[match[1]] = (match[2] or "").split()
    return found


def decisions(nginx, count):
    """The lines of the access log, one for each request in order."""
    log = nginx.folder / "decisions.log"
    hosts.wait_until(lambda: log.read_bytes().count(b"\n") >= count)
    lines = log.read_text("latin-1").split("\n")[:-1]
    return [json.loads(line) for line in lines]


def test_requests(running):
    nginx, port, addresses = running
    not_carried = collections.Counter()
    asked = []
    for group in GROUPS:
        for vector in load(group) if group not in REFUSED else ():
            request = vector["input"]
            if reason := no_config(request["config"]) or not_http(request):
                not_carried[reason] += 1
                continue
            address = addresses[json.dumps(request["config"], sort_keys=True)]
            got = hosts.ask(
                port, request["method"], request["target"], request["headers"], address=address
            )
            asked.append((vector, got))
    found = findings(nginx)
    wrong = []
    carried = 0
    for (vector, got), decision in zip(asked, decisions(nginx, len(asked)), strict=True):
        codes = found.get(decision.pop("connection"), [])
        if reason := refused(vector["input"]):
            not_carried[reason] += 1
            if got.status != int(reason.split()[1]) or decision["verdict"]:
                wrong.append((vector["name"], reason, got.status))
            continue
        carried += 1
        if problem := compare(vector, got, decision, codes):
            wrong.append((vector["name"], problem))
    assert not wrong, f"{len(wrong)} vectors differ: {wrong[:10]}"
    assert dict(not_carried) == NOT_CARRIED
    print(f"{carried} vectors through nginx, {sum(not_carried.values())} not carried")


def compare(vector, got, decision, codes):
    request, want = vector["input"], vector["output"]
    index = want["key_index"]
    keys = request["config"].get("keys", ())
    expected = {
        "verdict": want["verdict"],
        "reason": want["reason"],
        "source": want["source"] or "",
        "label": label_of(index, keys[index]) if index is not None and keys else "",
        "mode": want["effective_mode"],
        "decision": [{field: want[field] for field in DECISION}],
    }
    if decision != expected:
        return f"expected {expected}, got {decision}"
    if codes != want["findings"]:
        return f"expected {want['findings']}, got {codes}"
    if got.status != (200 if want["verdict"] == "allow" else 401):
        return f"{decision} with status {got.status}"
    if want["verdict"] == "deny" and request["method"] != "HEAD":
        code = "missing" if want["reason"] == "credential_missing" else "invalid"
        if got.json()["error"]["code"] != f"{code}_api_key":
            return f"{decision} with {got.body!r}"
    return None


FIELDS = {
    *("auth_mode", "allow_lan_access", "api_key", "keys", "sources", "exempt"),
    *("match", "preflight", "strip", "identity_header", "allow_origin"),
}


def only_in_json(config):
    """What nginx's words cannot get wrong: a field, a type, two ways to give keys or a prefix, an empty
    text where that means none, and the name that was there before."""
    texts = [config.get(name, "x") for name in ("match", "preflight", "strip", "identity_header", "allow_origin")]
    schemes = [source["scheme"] for source in config.get("sources", ()) if "scheme" in source]
    return (
        {"api_key", "keys"} <= config.keys()
        or bool(config.keys() - FIELDS)
        or any(source.keys() - {"name", "bearer", "scheme"} for source in config.get("sources", ()))
        or not all(isinstance(text, str) for text in texts + schemes)
        or "" in (config.get("identity_header"), config.get("allow_origin"), *schemes)
        or any(source.get("bearer") and "scheme" in source for source in config.get("sources", ()))
        or config.get("strip") == "on"
    )


def test_refused_configurations(tmp_path):
    """nginx -t refuses each, with the library's words and the line."""
    wrong = []
    count = 0
    for vector in load("config_errors"):
        config = vector["input"]["config"]
        if only_in_json(config):
            continue
        count += 1
        nginx = hosts.Nginx(tmp_path, "")
        first = nginx.write(f"server {{ listen 127.0.0.1:1; keygate on;\n{directives(config)}\n}}")
        got = nginx.test()
        match = re.search(
            r"\[emerg\] keygate_[a-z_]+: ([a-z_ ]+.*) in .*/nginx\.conf:(\d+)", got.stderr
        )
        if got.returncode == 0 or not match or not first < int(match[2]):
            wrong.append((vector["name"], got.stderr))
    assert not wrong, f"{len(wrong)} of {count}: {wrong[:5]}"
