package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keygate/keygate/bindings/go/internal/host"
)

// switching is an upstream that switches to whatever protocol it is asked for, and echoes from then
// on. It keeps the last request's headers.
func switching(t *testing.T, seen *atomic.Pointer[http.Request]) string {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r)
		if r.Header.Get("Upgrade") == "" {
			return
		}
		c, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: %s\r\nConnection: Upgrade\r\n\r\n", r.Header.Get("Upgrade"))
		_, _ = io.Copy(c, buffered)
	})
}

// ask sends a request over a connection of its own and reads the head of the answer.
func ask(t *testing.T, proxy *host.Proxy, request string) (net.Conn, *bufio.Reader, int) {
	t.Helper()
	c, err := net.Dial("tcp", proxy.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(c)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatalf("%.60q: %v", request, err)
	}
	return c, reader, answer.StatusCode
}

// echoes says whether bytes come back over a switched connection.
func echoes(c net.Conn, reader *bufio.Reader) bool {
	const text = "POST /v1/chat/completions HTTP/1.1\r\n"
	_, _ = io.WriteString(c, text)
	back := make([]byte, len(text))
	_, err := io.ReadFull(reader, back)
	return err == nil && string(back) == text
}

// A request that passes without a key is one request: it opens no tunnel, whatever protocol it asks
// for, and is no other request by a header that some upstreams take for the method or the target.
func TestNoTunnelWithoutAKey(t *testing.T) {
	var seen atomic.Pointer[http.Request]
	upstream := switching(t, &seen)
	for _, mode := range []string{"strict", "all_except_health", "off"} {
		for _, strip := range []string{"sources", "off"} {
			config := fmt.Sprintf(`{"auth_mode":%q,"api_key":%q,"exempt":["/ready"],"strip":%q}`, mode, always, strip)
			proxy := start(t, config, upstream)
			lines := []string{"OPTIONS / HTTP/1.1", "OPTIONS /v1/chat/completions HTTP/1.1", "OPTIONS * HTTP/1.1", "OPTIONS / HTTP/1.0"}
			if mode == "all_except_health" {
				lines = append(lines, "GET /ready HTTP/1.1", "HEAD /ready?a HTTP/1.1")
			}
			for _, line := range lines {
				for _, key := range []string{"", "X-Api-Key: " + always + "\r\n"} {
					for _, upgrade := range []string{"h2c", "websocket", "WebSocket", "websocket, h2c", "TLS/1.3", "foo"} {
						seen.Store(nil)
						_, _, status := ask(t, proxy, line+"\r\nHost: a\r\n"+key+"Connection: Upgrade, HTTP2-Settings\r\nConnection: upgrade\r\nUpgrade: "+upgrade+
							"\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nX-HTTP-Method-Override: POST\r\nx_http_method: POST\r\nX-Method-Override: POST\r\n"+
							"X-Original-URL: /admin\r\nX.Rewrite.URL: /admin\r\n\r\n")
						r := seen.Load()
						if status != 200 || r == nil {
							t.Errorf("%s %s, %s: %d", mode, line, upgrade, status)
							continue
						}
						for name := range r.Header {
							switch name {
							case "Accept-Encoding", "User-Agent", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto":
							case "X-Api-Key":
								if strip == "sources" {
									t.Errorf("%s: the key arrived", mode)
								}
							default:
								t.Errorf("%s %s, %s: %s arrived: %q", mode, line, upgrade, name, r.Header[name])
							}
						}
					}
				}
			}
		}
	}
}

// With a key, or where nobody is asked for one, a WebSocket and nothing else.
func TestOnlyWebSocketsUpgrade(t *testing.T) {
	var seen atomic.Pointer[http.Request]
	upstream := switching(t, &seen)
	keyed, open := start(t, strict(always), upstream), start(t, `{"auth_mode":"off"}`, upstream)
	for headers, status := range map[string]int{
		"Connection: Upgrade\r\nUpgrade: websocket":                                                       101,
		"Connection: close, upgrade\r\nUpgrade: WebSocket":                                                101,
		"Connection: keep-alive\r\nConnection: UPGRADE\r\nUpgrade: WEBSOCKET":                             101,
		"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA": 200,
		"Connection: Upgrade\r\nUpgrade: websocket, h2c":                                                  200,
		"Connection: Upgrade\r\nUpgrade: h2c, websocket":                                                  200,
		"Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c":                                       200,
		"Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket":                                       200,
		"Connection: Upgrade\r\nUpgrade: websocket/13":                                                    200,
		"Connection: Upgrade\r\nUpgrade: web\xffsocket":                                                   200,
		"Connection: Upgrade\r\nUpgrade:":                                                                 200,
		"Upgrade: websocket":                                                                              200,
	} {
		for _, proxy := range []*host.Proxy{keyed, open} {
			seen.Store(nil)
			c, reader, got := ask(t, proxy, "GET /v1/realtime HTTP/1.1\r\nHost: a\r\nX-Api-Key: "+always+"\r\n"+headers+"\r\n\r\n")
			r := seen.Load()
			switch {
			case got != status || r == nil:
				t.Errorf("%q: %d, want %d", headers, got, status)
			case status == 101 && !echoes(c, reader):
				t.Errorf("%q: bytes do not pass", headers)
			case status == 200 && len(r.Header["Upgrade"])+len(r.Header["Connection"])+len(r.Header["Http2-Settings"]) > 0:
				t.Errorf("%q: %q arrived", headers, r.Header)
			}
		}
	}
	if _, _, got := ask(t, keyed, "GET /v1/realtime HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"); got != 401 {
		t.Errorf("without a key: %d", got)
	}
}

// deaf is an upstream that reads no bodies, as not a few do for methods that have none: it answers
// each head that comes. It gives the first lines of what it took for requests.
func deaf(t *testing.T) (string, func() []string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	lines := make(chan string, 1000)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				reader := bufio.NewReader(c)
				for first := ""; ; {
					line, err := reader.ReadString('\n')
					if err != nil {
						return
					}
					if first == "" {
						first = line
					}
					if line == "\r\n" {
						lines <- strings.TrimSpace(first)
						first = ""
						_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					}
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String(), func() []string {
		time.Sleep(200 * time.Millisecond) // for what should not come
		var all []string
		for len(lines) > 0 {
			all = append(all, <-lines)
		}
		return all
	}
}

// What an upstream does not read as a body it reads as the next request. So nothing that passes
// without a key has one.
func TestNoRequestInTheBodyOfAKeylessOne(t *testing.T) {
	const inner = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nX-Inner: 1\r\n\r\n"
	upstream, lines := deaf(t)
	proxy := start(t, fmt.Sprintf(`{"auth_mode":"all_except_health","api_key":%q,"exempt":["/ready"]}`, always), upstream)
	for _, line := range []string{"OPTIONS /", "GET /ready", "HEAD /ready"} {
		for _, body := range []string{
			fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(inner), inner),
			fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(inner), inner),
			fmt.Sprintf("Transfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n%x\r\n%s\r\n0\r\nX-A: b\r\n\r\n", len(inner), inner),
			fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n\r\n%s", len(inner), inner),
		} {
			answer, err := host.Raw(proxy.Addr, []byte(line+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"+body))
			if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) {
				t.Errorf("%s, %.30q: %.60q, %v", line, body, answer, err)
			}
			if got := lines(); len(got) != 1 || got[0] != line+" HTTP/1.1" {
				t.Errorf("%s, %.30q: the upstream took it for %q", line, body, got)
			}
		}
	}
}

// What the client says in a proxy's place does not arrive, and the client cannot have it left out.
func TestForwardedHeaders(t *testing.T) {
	upstream := newUpstream(t)
	proxy := start(t, strict(always), upstream.URL)
	answer, err := host.Raw(proxy.Addr, []byte("GET / HTTP/1.1\r\nHost: front.example\r\nX-Api-Key: "+always+"\r\n"+
		"Connection: close, x-forwarded-for, X-Forwarded-Host, x-kept, x-api-key\r\nX-Kept: no\r\n"+
		"X-Forwarded-For: 8.8.8.8\r\nx_forwarded_for: 8.8.8.8\r\nX.Forwarded.Host: evil\r\nForwarded: for=8.8.8.8\r\nX-Forwarded-Proto: https\r\nX_Forwarded_Proto: https\r\n\r\n"))
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) {
		t.Fatalf("%.60q, %v", answer, err)
	}
	r, _ := upstream.Last()
	for name, values := range r.Header {
		want := map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "front.example", "X-Forwarded-Proto": "http", "Accept-Encoding": "", "User-Agent": ""}
		if text, known := want[name]; !known || text != "" && text != strings.Join(values, "|") {
			t.Errorf("%s: %q arrived", name, values)
		}
	}
	if len(r.Header["X-Forwarded-For"]) != 1 {
		t.Errorf("%q", r.Header)
	}
}

// However a client frames a request, the upstream gets one, framed once.
func TestFraming(t *testing.T) {
	upstream := newUpstream(t)
	proxy := start(t, strict(always), upstream.URL)
	key := "Host: a\r\nX-Api-Key: " + always + "\r\n"
	for request, want := range map[string]struct {
		status, forwarded int
	}{
		"POST / HTTP/1.1\r\n" + key + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd":                                    {400, 0},
		"POST / HTTP/1.1\r\n" + key + "Content-Length: 3, 3\r\n\r\nabc":                                                       {400, 0},
		"POST / HTTP/1.1\r\n" + key + "Content-Length: +3\r\n\r\nabc":                                                         {400, 0},
		"POST / HTTP/1.1\r\n" + key + "Content-Length: 3\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc":                {200, 1},
		"POST / HTTP/1.1\r\n" + key + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":             {501, 0},
		"POST / HTTP/1.1\r\n" + key + "Transfer-Encoding: xchunked\r\nContent-Length: 3\r\n\r\nabc":                           {501, 0},
		"POST / HTTP/1.1\r\n" + key + "Transfer_Encoding: chunked\r\nContent-Length: 5\r\nConnection: close\r\n\r\n0\r\n\r\n": {200, 1},
		"POST / HTTP/1.1\r\n" + key + "Connection: close, content-length\r\nContent-Length: 5\r\n\r\n0\r\n\r\n":               {200, 1},
		"GET / HTTP/1.0\r\n" + key + "\r\n":                                         {200, 1},
		"GET / HTTP/0.9\r\n" + key + "\r\n":                                         {505, 0},
		"GET /\r\n\r\n":                                                             {400, 0},
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                                          {401, 0},
		"PRI * HTTP/2.0\r\n" + key + "\r\nSM\r\n\r\n":                               {400, 0},
		"GET http://evil.example/ HTTP/1.1\r\n" + key + "Connection: close\r\n\r\n": {200, 1},
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nX-Api-Key: " + always + "\r\n\r\n": {400, 0},
		"GET / HTTP/1.1\r\n" + key + " folded\r\nConnection: close\r\n\r\n":         {401, 0},
		"GET / HTTP/1.1\r\n" + key + "X-A : b\r\n\r\n":                              {400, 0},
	} {
		_, before := upstream.Last()
		answer, err := host.Raw(proxy.Addr, []byte(request))
		r, after := upstream.Last()
		if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 "+fmt.Sprint(want.status)+" ")) && !bytes.HasPrefix(answer, []byte("HTTP/1.0 "+fmt.Sprint(want.status)+" ")) || after-before != want.forwarded {
			t.Errorf("%q: %.60q, %v, %d forwarded", request, answer, err, after-before)
		}
		if want.forwarded > 0 && (r.Host != strings.TrimPrefix(upstream.URL, "http://") || r.Header.Get("X-Api-Key") != "") {
			t.Errorf("%q: arrived for %q with %q", request, r.Host, r.Header)
		}
	}
}
