"""Request heads, and what every sample that reads one must make of them.

Each is (name, mode, head, expected): the key is KEY; expected is "allow REASON", "deny REASON", or
REFUSED for what is no request head by RFC 9112. Everything but a right key in a whole head is a way
to be let in that somebody might try.
"""

KEY = "sk-0123456789abcdef"
REFUSED = "refused"
MODE = "all_except_health"
# Besides /healthz, where a sample can be told: as long as what the smallest buffer keeps of a GET's target.
SMALLEST_BUFFER = 34
EXEMPT = "/" + "a" * (SMALLEST_BUFFER - len("GET/"))

GOOD = b"X-Api-Key: " + KEY.encode() + b"\r\n"
MISSING = "deny credential_missing"


def start(line, rest=b"\r\n"):
    """A head with this request line and no header."""
    return line + b"\r\n" + rest


def header(line):
    """The right key, and a header line before it."""
    return b"GET /v1/models HTTP/1.1\r\n" + line + b"\r\n" + GOOD + b"\r\n"


REQUEST_LINES = [
    # What the rest of this file is a perversion of.
    ("health", b"GET /healthz HTTP/1.1", "allow health"),
    ("health by HEAD", b"HEAD /healthz HTTP/1.0", "allow health"),
    ("health with a query", b"GET /healthz?a=/v1 HTTP/1.1", "allow health"),
    ("preflight", b"OPTIONS * HTTP/1.1", "allow preflight"),
    ("no key", b"GET /v1/models HTTP/1.1", MISSING),
    # One target, and not the first of two.
    ("two targets", b"GET /healthz /v1/models HTTP/1.1", REFUSED),
    ("two targets after a version", b"GET /healthz HTTP/ /v1 HTTP/1.1", REFUSED),
    ("two versions", b"GET /healthz HTTP/1.1 HTTP/1.1", REFUSED),
    ("a target behind the version", b"GET /healthz HTTP/1.1 /v1", REFUSED),
    ("two spaces before the target", b"GET  /healthz HTTP/1.1", REFUSED),
    ("two spaces behind the target", b"GET /healthz  HTTP/1.1", REFUSED),
    ("a space before the method", b" GET /healthz HTTP/1.1", REFUSED),
    ("a space at the end", b"GET /healthz HTTP/1.1 ", REFUSED),
    ("a tab at the end", b"GET /healthz HTTP/1.1\t", REFUSED),
    ("a tab for the first space", b"GET\t/healthz HTTP/1.1", REFUSED),
    ("a tab for the second space", b"GET /healthz\tHTTP/1.1", REFUSED),
    ("a tab in the target", b"GET /healthz?\t/v1 HTTP/1.1", REFUSED),
    ("a vertical tab for a space", b"GET /healthz\x0bHTTP/1.1", REFUSED),
    ("a form feed for a space", b"GET\x0c/healthz HTTP/1.1", REFUSED),
    ("a no-break space", b"GET /healthz\xa0HTTP/1.1", REFUSED),
    # The version.
    ("no version", b"GET /healthz", REFUSED),
    ("no version but a space", b"GET /healthz ", REFUSED),
    ("version in lower case", b"GET /healthz http/1.1", REFUSED),
    ("version with more behind it", b"GET /healthz HTTP/1.1x", REFUSED),
    ("version with another digit behind it", b"GET /healthz HTTP/1.10", REFUSED),
    ("version with another digit before it", b"GET /healthz HTTP/11.1", REFUSED),
    ("version without a point", b"GET /healthz HTTP/2", REFUSED),
    ("version without a minor digit", b"GET /healthz HTTP/1.", REFUSED),
    ("version with a comma", b"GET /healthz HTTP/1,1", REFUSED),
    ("version with a letter", b"GET /healthz HTTP/1.a", REFUSED),
    ("version without digits", b"GET /healthz HTTP/", REFUSED),
    ("version of something else", b"GET /healthz HTTPS/1.1", REFUSED),
    ("version with a NUL", b"GET /healthz HTTP/1.1\0", REFUSED),
    # The method.
    ("no method", b"/healthz HTTP/1.1", REFUSED),
    ("an empty method", b" /healthz HTTP/1.1", REFUSED),
    ("a method that is no token", b"GE(T /healthz HTTP/1.1", REFUSED),
    ("a method with a NUL", b"GET\0 /healthz HTTP/1.1", REFUSED),
    ("a method with a colon", b"GET: /healthz HTTP/1.1", REFUSED),
    ("a method with a high byte", b"GET\x80 /healthz HTTP/1.1", REFUSED),
    ("a byte order mark", b"\xef\xbb\xbfGET /healthz HTTP/1.1", REFUSED),
    ("method in lower case", b"get /healthz HTTP/1.1", MISSING),
    ("method that begins with GET", b"GETAWAYFROMTHEHEALTHPATH /healthz HTTP/1.1", MISSING),
    ("another method", b"POST /healthz HTTP/1.1", MISSING),
    ("the preface of HTTP/2", b"PRI * HTTP/2.0", MISSING),
    # The target.
    ("no target", b"GET HTTP/1.1", REFUSED),
    ("an empty target", b"GET  HTTP/1.1", REFUSED),
    ("a target with a NUL", b"GET /healthz\0 HTTP/1.1", REFUSED),
    ("a target with a NUL and more", b"GET /healthz\0/../v1 HTTP/1.1", REFUSED),
    ("a target with DEL", b"GET /healthz?\x7f HTTP/1.1", REFUSED),
    ("a target with ESC", b"GET /healthz?\x1b[2J HTTP/1.1", REFUSED),
    ("a target with a high byte", b"GET /healthz?\xff HTTP/1.1", REFUSED),
    ("a fragment", b"GET /healthz#/../v1 HTTP/1.1", MISSING),
    ("a fragment behind a query", b"GET /healthz?a#/../v1 HTTP/1.1", MISSING),
    ("the absolute form", b"GET http://a/healthz HTTP/1.1", MISSING),
    ("an authority before the path", b"GET //a/healthz HTTP/1.1", MISSING),
    ("the authority form", b"CONNECT a:80 HTTP/1.1", MISSING),
    ("a target without a slash", b"GET healthz HTTP/1.1", MISSING),
    ("a path below", b"GET /healthz/../v1 HTTP/1.1", MISSING),
    ("a path percent-encoded", b"GET /%68ealthz HTTP/1.1", MISSING),
    ("parameters", b"GET /healthz;/../v1 HTTP/1.1", MISSING),
    ("a query percent-encoded", b"GET /healthz%3f/../v1 HTTP/1.1", MISSING),
]

HEADER_LINES = [
    ("another header", b"Host: a", "allow key_matched"),
    ("a header without a value", b"Host:", "allow key_matched"),
    ("a tab before a value", b"Host:\ta", "allow key_matched"),
    ("a high byte in another value", b"User-Agent: \xff", "allow key_matched"),
    ("every byte of a token", b"!#$%&'*+-.^_`|~09AZaz: a", "allow key_matched"),
    ("an empty Authorization before it", b"Authorization:", "deny credential_unusable"),
    ("a blank Authorization before it", b"Authorization: \t ", "deny credential_unusable"),
    ("a wrong Authorization before it", b"Authorization: Bearer sk-wrong", "deny key_mismatch"),
    ("a header without a colon", b"Authorization", REFUSED),
    ("a space before the colon", b"Authorization : sk-wrong", REFUSED),
    ("a tab before the colon", b"Authorization\t: sk-wrong", REFUSED),
    ("a space in a name", b"Author ization: sk-wrong", REFUSED),
    ("a space before a name", b" Authorization: sk-wrong", REFUSED),
    ("a folded line", b"Host: a\r\n b", REFUSED),
    ("a folded line by a tab", b"Host: a\r\n\tb", REFUSED),
    ("a folded line that is blank", b"Host: a\r\n ", REFUSED),
    ("an empty name", b": a", REFUSED),
    ("a colon alone", b":", REFUSED),
    ("a pseudo-header", b":authority: a", REFUSED),
    ("a NUL in a name", b"Authorization\0: sk-wrong", REFUSED),
    ("a NUL before a name", b"\0Authorization: sk-wrong", REFUSED),
    ("a NUL in a value", b"Host: a\0b", REFUSED),
    ("a high byte in a name", b"Authorization\xff: sk-wrong", REFUSED),
    ("a control byte in a name", b"Authorization\x08: sk-wrong", REFUSED),
    ("a control byte in a value", b"Host: a\x08", REFUSED),
    ("DEL in a value", b"Host: a\x7f", REFUSED),
    ("a name in quotes", b'"Authorization": sk-wrong', REFUSED),
    ("a name in brackets", b"(Authorization): sk-wrong", REFUSED),
    ("a CR in a value", b"Host: a\rAuthorization: sk-wrong", REFUSED),
    ("a CR in a name", b"Host\r: a", REFUSED),
    ("a CR before a name", b"\rHost: a", REFUSED),
    ("CR CR LF", b"Host: a\r", REFUSED),
    ("a CR as a line end", b"Host: a\rHost: b", REFUSED),
    ("a LF as a line end", b"Host: a\nHost: b", REFUSED),
    ("a LF before a line end", b"Host: a\n", REFUSED),
]

LONG = 200  # more than the streaming samples keep of a line
TOO_LONG = 65536
TOO_MANY = 10000

OTHERS = [
    ("nothing", b"", REFUSED),
    ("a NUL", b"\0", REFUSED),
    ("a line end", b"\r\n", REFUSED),
    ("an empty line before the head", b"\r\n" + start(b"GET /healthz HTTP/1.1"), REFUSED),
    ("a LF before the head", b"\n" + start(b"GET /healthz HTTP/1.1"), REFUSED),
    ("LF alone", b"GET /healthz HTTP/1.1\n\n", REFUSED),
    ("LF behind the request line", b"GET /healthz HTTP/1.1\n\r\n", REFUSED),
    ("LF for the empty line", b"GET /healthz HTTP/1.1\r\n\n", REFUSED),
    ("CR alone", b"GET /healthz HTTP/1.1\r\r", REFUSED),
    ("CR CR LF behind the request line", b"GET /healthz HTTP/1.1\r\r\n\r\n", REFUSED),
    ("CR CR LF for the empty line", b"GET /healthz HTTP/1.1\r\n\r\r\n", REFUSED),
    ("LF CR for the empty line", b"GET /healthz HTTP/1.1\r\n\n\r", REFUSED),
    ("a blank line for the empty one", b"GET /healthz HTTP/1.1\r\n \r\n", REFUSED),
    ("a body behind the head", b"GET /healthz HTTP/1.1\r\n\r\nGET /v1 HTTP/1.1\r\n\r\n", "allow health"),
    ("HTTP/0.9", b"GET /healthz\r\n", REFUSED),
    # Too much of something: refused or counted as what it is, never cut. The small tables first.
    ("a long query", start(b"GET /healthz?" + b"a" * LONG + b" HTTP/1.1"), "allow health"),
    ("a # behind a long query", start(b"GET /healthz?" + b"a" * LONG + b"#/../v1 HTTP/1.1"), MISSING),
    ("a # at the end of a long query", start(b"GET /healthz?" + b"a" * LONG + b"# HTTP/1.1"), MISSING),
    ("a # where a buffer may end", start(b"GET /healthz?" + b"a" * 115 + b"# HTTP/1.1"), MISSING),
    ("a # and a long query", start(b"GET /healthz#?" + b"a" * LONG + b" HTTP/1.1"), MISSING),
    ("a space behind a long query", start(b"GET /healthz?" + b"a" * LONG + b" /v1 HTTP/1.1"), REFUSED),
    ("a path that goes on behind an exempt one", start(f"GET {EXEMPT}bc HTTP/1.1".encode()), MISSING),
    ("a long path", start(b"GET /healthz" + b"/" * LONG + b" HTTP/1.1"), MISSING),
    ("a long path and a query", start(b"GET /healthz" + b"/" * LONG + b"?a HTTP/1.1"), MISSING),
    ("a long method", start(b"GET" * LONG + b" /healthz HTTP/1.1"), MISSING),
    ("a long name", header(b"a" * LONG + b": a"), "allow key_matched"),
    ("a long name that begins like a source", header(b"Authorization" + b"a" * LONG + b": a"), "allow key_matched"),
    ("a long value", header(b"Cookie: " + b"a" * LONG), "allow key_matched"),
    ("a long Authorization before it", header(b"Authorization: " + b"a" * LONG), "deny key_mismatch"),
    ("a key and more behind many blanks", start(b"GET / HTTP/1.1", GOOD[:-2] + b" " * LONG + b"a\r\n\r\n"), "deny key_mismatch"),
    ("a NUL in a long value", header(b"Cookie: " + b"a" * LONG + b"\0"), REFUSED),
    ("a CR in a long value", header(b"Cookie: " + b"a" * LONG + b"\ra"), REFUSED),
    ("a LF behind a long value", header(b"Cookie: " + b"a" * LONG + b"\n"), REFUSED),
    ("a long line without a colon", header(b"a" * LONG), REFUSED),
    ("many headers", start(b"GET /healthz HTTP/1.1", b"A: b\r\n" * 200 + b"\r\n"), "allow health"),
    ("too many headers", start(b"GET /healthz HTTP/1.1", b"A: b\r\n" * TOO_MANY + b"\r\n"), REFUSED),
    ("too many headers and the key", start(b"GET / HTTP/1.1", b"A:\r\n" * TOO_MANY + GOOD + b"\r\n"), REFUSED),
    ("too long a target", start(b"GET /healthz?" + b"a" * TOO_LONG + b" HTTP/1.1"), REFUSED),
    ("too long a method", start(b"a" * TOO_LONG + b" /healthz HTTP/1.1"), REFUSED),
    ("too long a name", header(b"a" * TOO_LONG + b": a"), REFUSED),
    ("too long a value", start(b"GET /healthz HTTP/1.1", b"Cookie: " + b"a" * TOO_LONG + b"\r\n\r\n"), REFUSED),
]


def with_small_values(expected, head, room):
    """What is expected of a sample that counts a value that has no room as an empty one."""
    lines = head.split(b"\r\n\r\n")[0].split(b"\r\n")
    too_long = any(len(line) > room for line in lines[1:])
    return "deny credential_unusable" if too_long and expected == "deny key_mismatch" else expected


def truncated():
    """A head that ends at every place before its own end."""
    whole = b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + GOOD + b"Authorization: sk-wrong\r\n\r\n"
    for length in range(len(whole)):
        yield f"the first {length} bytes of a head", whole[:length], REFUSED


def table():
    rows = [(name, start(line), expected) for name, line, expected in REQUEST_LINES]
    rows += [(name, header(line), expected) for name, line, expected in HEADER_LINES]
    rows += OTHERS + list(truncated())
    rows = [(name, MODE, head, expected) for name, head, expected in rows]
    # With the gate off, what is no request is still none.
    rows.append(("off", "off", start(b"GET /v1 HTTP/1.1"), "allow auth_off"))
    rows.append(("off, two targets", "off", start(b"GET /v1 /v2 HTTP/1.1"), REFUSED))
    rows.append(("off, a LF alone", "off", b"GET /v1 HTTP/1.1\n\n", REFUSED))
    names = [name for name, *_ in rows]
    if len(set(names)) != len(names):
        raise SystemExit(f"two heads of one name: {sorted(name for name in set(names) if names.count(name) > 1)}")
    return rows
