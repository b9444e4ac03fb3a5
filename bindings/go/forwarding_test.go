package keygate_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keygate/keygate/bindings/go"
	"github.com/keygate/keygate/bindings/go/internal/host"
)

// beyond are the headers that could make another request, or a connection, of an allowed one.
var beyond = []string{
	"Upgrade", "HTTP2-Settings", "X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override", "X-Original-URL", "X-Rewrite-URL",
}

// spellings are ways to write a name that an upstream may take for it.
func spellings(name string) []string {
	return []string{name, strings.ToLower(name), strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "-", "."), strings.ToUpper(strings.Replace(name, "-", "_", 1))}
}

// A request that passes without a key takes nothing along that makes more of it than one request,
// whatever becomes of the credentials.
func TestKeylessAllowIsOneRequest(t *testing.T) {
	var got *http.Request
	next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r })
	gate := new(keygate.Gate)
	for _, keep := range []bool{false, true} {
		strip := map[bool]string{false: "sources", true: "off"}[keep]
		server := httptest.NewServer(&keygate.Handler{Gate: gate, Next: next})
		for _, c := range []struct {
			mode, method, path, key string
			keyless                 bool
		}{
			{"strict", "OPTIONS", "/", "", true},
			{"strict", "OPTIONS", "/", right, true},
			{"off", "OPTIONS", "/", "", true},
			{"all_except_health", "GET", "/healthz", "", true},
			{"all_except_health", "HEAD", "/healthz?a", right, true},
			{"strict", "GET", "/", right, false},
			{"off", "GET", "/", "", false},
		} {
			gate.Swap(policyOf(t, fmt.Sprintf(`{"auth_mode":%q,"api_key":%q,"strip":%q}`, c.mode, right, strip)))
			for _, name := range beyond {
				for _, spelling := range spellings(name) {
					got = nil
					connection := "keep-alive, " + spelling + ",X-Other upgrade"
					answer := raw(t, server, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: a\r\nX-Api-Key: %s\r\nConnection: %s\r\nConnection: close\r\n%s: websocket\r\nX_Other: kept\r\n\r\n", c.method, c.path, c.key, connection, spelling))
					if got == nil {
						t.Fatalf("%+v, %s: %.40q", c, spelling, answer)
					}
					_, there := got.Header[http.CanonicalHeaderKey(spelling)]
					options := strings.Join(got.Header["Connection"], ", ")
					if there == c.keyless || got.Header.Get("X_Other") != "kept" || !strings.HasSuffix(options, "close") {
						t.Errorf("keep %t, %+v: %s is there: %t, beside %q", keep, c, spelling, there, got.Header)
					}
					if c.keyless && (strings.Contains(strings.ToLower(options), "upgrade") || strings.Contains(options, spelling)) {
						t.Errorf("keep %t, %+v: Connection: %s", keep, c, options)
					}
					if got := got.Header.Get("X-Api-Key"); keep != (got != "") && c.key != "" {
						t.Errorf("keep %t, %+v: X-Api-Key: %q", keep, c, got)
					}
				}
			}
		}
		server.Close()
	}
}

// So it is where the operator reads keys from such a header, and has asked for credentials to be kept.
func TestKeptCredentialIsOneRequest(t *testing.T) {
	var got *http.Request
	next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r })
	for _, name := range beyond[1:] { // Upgrade is no source
		gate := new(keygate.Gate)
		gate.Swap(policyOf(t, fmt.Sprintf(`{"auth_mode":"strict","api_key":%q,"strip":"off","sources":[{"name":%q}]}`, right, name)))
		handler := &keygate.Handler{Gate: gate, Next: next}
		for method, kept := range map[string]bool{"OPTIONS": false, "GET": true} {
			r := httptest.NewRequest(method, "/", nil)
			r.RequestURI = "/"
			r.Header.Set(name, right)
			got = nil
			handler.ServeHTTP(httptest.NewRecorder(), r)
			if got == nil {
				t.Fatalf("%s with %s was denied", method, name)
			}
			if _, there := got.Header[http.CanonicalHeaderKey(name)]; there != kept {
				t.Errorf("%s: %s is there: %t", method, name, there)
			}
		}
	}
}

// What is dropped is no option of the connection either, and an extended CONNECT is an upgrade. The
// caller's lists are not written to.
func TestStripConnection(t *testing.T) {
	policy := policyOf(t, `{"auth_mode":"strict","api_key":"k"}`)
	keyless, keyed := keygate.Decision{Allow: true, Reason: keygate.Preflight}, keygate.Decision{Allow: true, Reason: keygate.KeyMatched}
	for i, c := range []struct {
		d              keygate.Decision
		options, want  string
		protocolIsThen bool
	}{
		{keyed, "close, x-api-key", "close", true},
		{keyed, "Upgrade", "Upgrade", true},
		{keyed, " keep-alive,  Upgrade", " keep-alive,  Upgrade", true},
		{keyed, "X_API_KEY", "", true},
		{keyless, "Upgrade", "", false},
		{keyless, "close,UPGRADE,http2-settings\tupgrade", "close", false},
		{keyless, "close", "close", false},
		{keygate.Decision{}, "close", "", false},
	} {
		values := []string{c.options, c.options}
		name := []string{"Connection", "connection"}[i%2]
		h := http.Header{name: values, ":protocol": {"websocket"}}
		policy.Strip(c.d, h)
		if got := strings.Join(h[name], "|"); got != strings.Trim(c.want+"|"+c.want, "|") || (len(h[":protocol"]) > 0) != c.protocolIsThen {
			t.Errorf("%v %q: %q", c.d.Reason, c.options, h)
		}
		if !slices.Equal(values, []string{c.options, c.options}) {
			t.Errorf("%q was written over", c.options)
		}
	}
	h := http.Header{"X-Api-Key": nil, "x_api_key": {}, "Authorization": {"a", "b"}, "X-Kept": nil}
	policy.Strip(keyed, h)
	if _, kept := h["X-Kept"]; len(h) != 1 || !kept {
		t.Errorf("left: %q", h)
	}
}

// raw sends bytes over a connection of its own and gives what comes back until it is closed.
func raw(t testing.TB, server *httptest.Server, request string) string {
	t.Helper()
	answer, err := host.Raw(server.Listener.Addr().String(), []byte(request))
	if err != nil {
		t.Errorf("%v after %.60q", err, answer)
	}
	return string(answer)
}

// A trailer is a header that comes late. However it is announced, over HTTP/1 and HTTP/2, and
// whichever way the handler looks at it, none that must not be forwarded is there.
func TestTrailers(t *testing.T) {
	policy := policyOf(t, `{"auth_mode":"strict","api_key":"`+right+`"}`)
	for _, way := range []string{"read", "copied", "closed"} {
		var before, after http.Header
		handler := policy.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			before = r.Trailer.Clone()
			switch way {
			case "read":
				_, _ = io.ReadAll(r.Body)
			case "copied":
				r2 := r.WithContext(r.Context())
				_, _ = io.Copy(io.Discard, r2.Body)
				r = r2
			case "closed":
				_ = r.Body.Close()
			}
			after = r.Trailer
		}))
		look := func(what string, kept int) {
			t.Helper()
			for _, trailer := range []http.Header{before, after} {
				for name := range trailer {
					if policy.Drops(keygate.Decision{Allow: true, Reason: keygate.KeyMatched}, name, "") {
						t.Errorf("%s, %s: the handler sees the trailer %s: %q", what, way, name, trailer[name])
					}
				}
			}
			if len(after["X-Kept"]) != kept {
				t.Errorf("%s, %s: X-Kept: %q", what, way, after["X-Kept"])
			}
			before, after = nil, nil
		}
		server := httptest.NewUnstartedServer(handler)
		server.EnableHTTP2 = true
		server.StartTLS()
		for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
			client := server.Client()
			if proto == "HTTP/1.1" {
				transport := client.Transport.(*http.Transport).Clone()
				transport.Protocols = new(http.Protocols)
				transport.Protocols.SetHTTP1(true)
				transport.TLSClientConfig.NextProtos = nil
				transport.ForceAttemptHTTP2 = false
				client = &http.Client{Transport: transport}
			}
			r, _ := http.NewRequest("POST", server.URL, io.MultiReader(strings.NewReader("body")))
			r.Header.Set("X-Api-Key", right)
			r.Trailer = http.Header{"X-Api-Key": {right}, "X_goog_api_key": {right}, "X-Kept": {"yes"}}
			if proto == "HTTP/1.1" { // HTTP/2 takes no such trailer
				r.Trailer.Set("Authorization", "Bearer "+right)
			}
			answer, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.Proto != proto || answer.StatusCode != 200 {
				t.Fatalf("%s: %d", answer.Proto, answer.StatusCode)
			}
			if way == "closed" && proto == "HTTP/2.0" {
				look(proto, len(after["X-Kept"])) // a body that is closed there is not read to its end
			} else {
				look(proto, 1)
			}
			client.CloseIdleConnections()
		}
		server.Close()

		plain := httptest.NewServer(handler)
		for announced, kept := range map[string]int{
			"":                                  0, // not even an honest one: copies of a request do not see these
			"Trailer: X-Kept\r\n":               1,
			"Trailer: X-Api-Key, x-kept\r\n":    1,
			"Trailer: X-Api-Key\r\n":            1,
			"Trailer: X_API_KEY\r\n":            1,
			"Trailer: X-Other, X-Other-Too\r\n": 1,
		} {
			raw(t, plain, "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Api-Key: "+right+"\r\n"+announced+"Transfer-Encoding: chunked\r\n\r\n"+
				"3\r\nabc\r\n0\r\nX-Api-Key: "+right+"\r\nx_goog_api_key: "+right+"\r\nX-Kept: yes\r\n\r\n")
			if announced == "" {
				kept = len(after["X-Kept"])
			}
			look(announced, kept)
		}
		plain.Close()
	}
}

// Where something is missing, nobody gets in, and nothing panics.
func TestNothingBehindOrInFront(t *testing.T) {
	served := false
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served = true })
	policy := policyOf(t, `{"auth_mode":"off"}`)
	for name, c := range map[string]struct {
		handler http.Handler
		status  int
	}{
		"no gate":           {&keygate.Handler{Next: next}, 401},
		"nothing":           {&keygate.Handler{}, 401},
		"a nil gate":        {(*keygate.Gate)(nil).Middleware(next), 401},
		"a zero gate":       {new(keygate.Gate).Middleware(next), 401},
		"a nil policy":      {(*keygate.Policy)(nil).Middleware(next), 401},
		"nothing behind it": {policy.Middleware(nil), 500},
	} {
		for _, method := range []string{"GET", "OPTIONS"} {
			w := httptest.NewRecorder()
			c.handler.ServeHTTP(w, httptest.NewRequest(method, "/healthz", strings.NewReader("body")))
			if w.Code != c.status || served {
				t.Errorf("%s: %d", name, w.Code)
			}
			if c.status == 401 && (w.Header().Get("WWW-Authenticate") == "" || !bytes.Contains(w.Body.Bytes(), []byte("invalid_api_key"))) {
				t.Errorf("%s: %q %q", name, w.Header(), w.Body)
			}
		}
	}
}

// connection is a client that sends what it likes.
type connection struct {
	net.Conn
	*bufio.Reader
}

func dial(t testing.TB, addr string) connection {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return connection{c, bufio.NewReader(c)}
}

// answer reads one.
func (c connection) answer(t testing.TB, method string) *http.Response {
	t.Helper()
	answer, err := http.ReadResponse(c.Reader, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("half an answer: %v", err)
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer
}

func (c connection) Read(to []byte) (int, error) { return c.Reader.Read(to) }

// With the identity header, the upstream learns whose key it was, and from nobody but the gate.
func TestIdentity(t *testing.T) {
	var got *http.Request
	next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		got = r
	})
	for _, strip := range []string{"sources", "matched", "off"} {
		policy := policyOf(t, fmt.Sprintf(`{"auth_mode":"all_except_health","identity_header":"x-user","strip":%q,"keys":[{"key":%q,"label":"alice"},{"key":"sk-without-a-label"}]}`, strip, right))
		server := httptest.NewServer(policy.Middleware(next))
		for _, c := range []struct{ line, key, want string }{
			{"GET / HTTP/1.1", right, "alice"},
			{"GET / HTTP/1.1", "sk-without-a-label", ""},
			{"OPTIONS / HTTP/1.1", right, ""},
			{"GET /healthz HTTP/1.1", "", ""},
		} {
			got = nil
			raw(t, server, c.line+"\r\nHost: a\r\nConnection: X-User, upgrade, close\r\nUpgrade: h2c\r\nX-User: mallory\r\nx_user: mallory\r\nX.USER: mallory\r\nx-user: bob\r\nX-Api-Key: "+c.key+
				"\r\nTransfer-Encoding: chunked\r\nTrailer: X-User\r\n\r\n0\r\nX-User: mallory\r\n\r\n")
			if got == nil {
				t.Fatalf("%s, %s: denied", strip, c.line)
			}
			var users []string
			for name, values := range got.Header {
				if strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name)) == "x-user" {
					users = append(users, values...)
				}
			}
			if strings.Join(users, ",") != c.want || got.Trailer.Get("X-User") != "" {
				t.Errorf("%s, %s: %q, trailer %q", strip, c.line, users, got.Trailer)
			}
			if options := strings.ToLower(strings.Join(got.Header["Connection"], ",")); strings.Contains(options, "x-user") || strings.Contains(options, "upgrade") || got.Header.Get("Upgrade") != "" {
				t.Errorf("%s, %s: Connection: %s, Upgrade: %s", strip, c.line, options, got.Header.Get("Upgrade"))
			}
		}
		// A WebSocket is one connection, and the header stands in the request that opens it.
		raw(t, server, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nX-User: mallory\r\nX-Api-Key: "+right+"\r\n\r\n")
		if got.Header.Get("Upgrade") != "websocket" || !strings.Contains(got.Header.Get("Connection"), "Upgrade") || got.Header.Get("X-User") != "alice" {
			t.Errorf("%s: %q", strip, got.Header)
		}
		server.Close()
	}
}

// Of what a client sends, only the gate's key stays here; what belongs to another service goes on.
func TestStripMatched(t *testing.T) {
	policy := policyOf(t, fmt.Sprintf(`{"auth_mode":"strict","api_key":%q,"match":"any","strip":"matched"}`, right))
	d := policy.Decide("POST", "/", http.Header{"Authorization": {"Bearer sk-ant-oat01-abc"}, "X-Api-Key": {right}})
	if !d.Allow || d.Source != "x-api-key" {
		t.Fatalf("%+v", d)
	}
	h := http.Header{
		"Authorization": {"Bearer sk-ant-oat01-abc", "Bearer " + right, "Basic " + right, "other"}, "X-Api-Key": {right}, "X_api_key": {"a\t" + right, "b"}, "Cookie": {right},
	}
	policy.Strip(d, h)
	want := http.Header{"Authorization": {"Bearer sk-ant-oat01-abc", "other"}, "X_api_key": {"b"}, "Cookie": {right}}
	if fmt.Sprint(h) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", h, want)
	}
}

// A browser's script may read a 401, and nothing else of the gate's is said to it.
func TestDenialForScripts(t *testing.T) {
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {})
	for origin, vary := range map[string]string{"*": "Accept", "https://app.example": "Accept, Origin", "": "Accept"} {
		config := fmt.Sprintf(`{"auth_mode":"strict","api_key":%q,"allow_origin":%q}`, right, origin)
		if origin == "" {
			config = fmt.Sprintf(`{"auth_mode":"strict","api_key":%q}`, right)
		}
		guarded := policyOf(t, config).Middleware(next)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Vary", "Accept")
			guarded.ServeHTTP(w, r)
		}))
		for key, status := range map[string]int{"wrong": 401, right: 200} {
			r, _ := http.NewRequest("GET", server.URL, nil)
			r.Header.Set("X-Api-Key", key)
			got := roundTrip(t, r)
			exposed := ""
			if origin != "" {
				exposed = "WWW-Authenticate"
			}
			allowed, varies := origin, vary
			if status == 200 {
				allowed, exposed, varies = "", "", "Accept"
			}
			if got.StatusCode != status || got.Header.Get("Access-Control-Allow-Origin") != allowed || got.Header.Get("Access-Control-Expose-Headers") != exposed || strings.Join(got.Header["Vary"], ", ") != varies {
				t.Errorf("%q, %d: %v", origin, got.StatusCode, got.Header)
			}
		}
		server.Close()
	}
}

func TestLints(t *testing.T) {
	policy := policyOf(t, `{"auth_mode":"auto","api_key":"Bearer k"}`)
	if got := fmt.Sprint(policy.Lints()); got != "[key_bearer key_short open auto_open]" {
		t.Error(got)
	}
	for _, lint := range policy.Lints() {
		if text := lint.Text(keygate.Chinese); text == "" || text == lint.Text(keygate.English) {
			t.Errorf("%s: %q", lint, text)
		}
	}
	if lints := (*keygate.Policy)(nil).Lints(); len(lints) != 0 {
		t.Error(lints)
	}
}
