"""The guide "401: look at auth_mode first, then at the headers", step by step, with real curl."""

import guide
import pytest


@pytest.mark.parametrize("title", guide.GUIDE)
def test_guide(new_gate, upstream, title):
    guide.go_through(title, lambda settings: new_gate(upstream.port, **settings), upstream)


def test_the_answer_tells_whose_401_it_is(new_gate, upstream):
    gate = new_gate(upstream.port, **guide.settings("strict"))
    _, text = guide.curl(gate, guide.Ask(guide.MODELS, (), 401))
    assert 'www-authenticate: bearer realm="keygate"' in text.lower()
    assert '"code":"missing_api_key"' in text
    assert upstream.requests == []
    upstream.answer = lambda handler, _: handler.reply(401, "text/plain", b"of the upstream")
    status, text = guide.curl(gate, guide.Ask(guide.MODELS, (guide.BEARER,), 401))
    assert status == 401 and "of the upstream" in text and "keygate" not in text
