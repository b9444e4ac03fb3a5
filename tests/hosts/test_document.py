"""The guide "401: look at auth_mode first, then at the headers", step by step, with real curl."""

import subprocess

import hosts
import pytest

KEY = "sk-5f0c4b8e21d97a36"
OTHER = "sk-a97b3310fe64d285"
EMPTY_KEY = "Proxy auth is enabled but api_key is empty; denying request"
BEARER = f"Authorization: Bearer {KEY}"


def curl(gate, path, *headers):
    """`curl -i http://127.0.0.1:PORT/PATH -H ...`: the status line's number and the whole text."""
    command = ["curl", "-i", "-sS", "--max-time", "10", f"http://127.0.0.1:{gate.port}{path}"]
    for header in headers:
        command += ["-H", header]
    text = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert text.startswith("HTTP/1.1 ")
    return int(text.split()[1]), text


def status(gate, path, *headers):
    return curl(gate, path, *headers)[0]


def logs(gate, text):
    hosts.wait_until(lambda: text in gate.log())


@pytest.mark.parametrize(
    "mode, lan, expected",
    [
        ("all_except_health", False, 200),
        ("auto", True, 200),
        ("strict", False, 401),
    ],
)
def test_step_1_healthz_without_any_header(new_gate, upstream, mode, lan, expected):
    gate = new_gate(upstream.port, auth_mode=mode, allow_lan_access=lan, api_key=KEY)
    assert status(gate, "/healthz") == expected


@pytest.mark.parametrize(
    "mode, lan, effective",
    [
        ("off", False, "off"),
        ("off", True, "off"),
        ("strict", False, "strict"),
        ("strict", True, "strict"),
        ("all_except_health", False, "all_except_health"),
        ("all_except_health", True, "all_except_health"),
        ("auto", False, "off"),
        ("auto", True, "all_except_health"),
    ],
)
def test_step_2_the_effective_mode(new_gate, upstream, mode, lan, effective):
    gate = new_gate(upstream.port, auth_mode=mode, allow_lan_access=lan, api_key=KEY)
    seen = (status(gate, "/healthz"), status(gate, "/v1/models"))
    assert seen == {
        "off": (200, 200),
        "strict": (401, 401),
        "all_except_health": (200, 401),
    }[effective]


def test_step_3_an_empty_key_denies_and_says_so(new_gate, upstream):
    gate = new_gate(upstream.port, auth_mode="strict", allow_lan_access=False, api_key="")
    for path in ("/healthz", "/v1/models"):
        for headers in ([], [BEARER], ["x-api-key;"]):
            assert status(gate, path, *headers) == 401
    hosts.wait_until(lambda: gate.log().count(EMPTY_KEY) == 6)


def test_step_3_a_new_key_needs_no_restart(new_gate, upstream):
    settings = {"auth_mode": "strict", "allow_lan_access": False}
    gate = new_gate(upstream.port, **settings, api_key=KEY)
    new = f"Authorization: Bearer {OTHER}"
    assert (status(gate, "/v1/models", BEARER), status(gate, "/v1/models", new)) == (200, 401)
    gate.configure({**settings, "api_key": OTHER}, lambda: status(gate, "/v1/models", new) == 200)
    assert status(gate, "/v1/models", BEARER) == 401


def test_step_4_the_simplest_header(new_gate, upstream):
    gate = new_gate(upstream.port, auth_mode="auto", allow_lan_access=True, api_key=KEY)
    for header in (BEARER, f"Authorization: {KEY}", f"x-api-key: {KEY}", f"x-goog-api-key: {KEY}"):
        assert status(gate, "/v1/models", header) == 200
    for name in ("Authorization: Bearer", "x-api-key:"):
        placeholder = f"{name} sk-REPLACE_WITH_YOUR_PROXY_API_KEY"
        assert status(gate, "/v1/models", placeholder) == 401
    logs(gate, "placeholder")


def test_step_4_the_first_header_decides(new_gate, upstream):
    gate = new_gate(upstream.port, auth_mode="strict", allow_lan_access=False, api_key=KEY)
    names = ["Authorization", "x-api-key", "x-goog-api-key"]
    for first in range(3):
        for second in range(first + 1, 3):
            right_then_wrong = [f"{names[first]}: {KEY}", f"{names[second]}: {OTHER}"]
            wrong_then_right = [f"{names[first]}: {OTHER}", f"{names[second]}: {KEY}"]
            # Whichever is sent first: the order of the names counts.
            for order in (1, -1):
                assert status(gate, "/v1/models", *right_then_wrong[::order]) == 200
                assert status(gate, "/v1/models", *wrong_then_right[::order]) == 401


def test_pitfall_auto_with_lan_access(new_gate, upstream):
    settings = {"auth_mode": "auto", "api_key": KEY}
    gate = new_gate(upstream.port, **settings, allow_lan_access=True)
    assert status(gate, "/v1/models") == 401
    logs(gate, "auto_resolved")
    assert status(gate, "/v1/models", BEARER) == 200
    gate.configure({**settings, "allow_lan_access": False}, lambda: status(gate, "/v1/models") == 200)


def test_pitfall_another_header_goes_first(new_gate, upstream):
    gate = new_gate(upstream.port, auth_mode="strict", allow_lan_access=False, api_key=KEY)
    right = f"x-api-key: {KEY}"
    assert status(gate, "/v1/models", right, f"Authorization: Bearer {OTHER}") == 401
    logs(gate, "shadowed_match")
    assert status(gate, "/v1/models", right) == 200


def test_pitfall_no_space_after_bearer(new_gate, upstream):
    gate = new_gate(upstream.port, auth_mode="strict", allow_lan_access=False, api_key=KEY)
    assert status(gate, "/v1/models", f"Authorization: Bearer{KEY}") == 401
    logs(gate, "bearer_no_space")
    assert status(gate, "/v1/models", BEARER) == 200


def test_pitfall_the_key_is_empty(new_gate, upstream):
    settings = {"auth_mode": "strict", "allow_lan_access": False}
    gate = new_gate(upstream.port, **settings, api_key="")
    assert status(gate, "/v1/models", BEARER) == 401
    logs(gate, EMPTY_KEY)
    gate.configure({**settings, "api_key": KEY}, lambda: status(gate, "/v1/models", BEARER) == 200)


def test_the_answer_tells_whose_401_it_is(new_gate, upstream):
    gate = new_gate(upstream.port, auth_mode="strict", allow_lan_access=False, api_key=KEY)
    _, text = curl(gate, "/v1/models")
    assert 'www-authenticate: bearer realm="keygate"' in text.lower()
    assert '"code":"missing_api_key"' in text
    assert upstream.requests == []
    upstream.answer = lambda handler, _: handler.reply(401, "text/plain", b"of the upstream")
    code, text = curl(gate, "/v1/models", BEARER)
    assert code == 401 and "of the upstream" in text and "keygate" not in text
