package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keygate/keygate/bindings/go/internal/host"
)

// soon is how long an answer at once may take on a busy machine, and closed how long it may take
// until a connection is closed on which nothing comes.
const (
	soon   = 4 * time.Second
	closed = 20 * time.Second
)

// unfinished sends a request whose body does not come, and gives the answer's status, how long it took,
// and whether the connection was then closed.
func unfinished(addr, request string) (status int, took time.Duration, err error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(closed))
	since := time.Now()
	if _, err := io.WriteString(c, request); err != nil {
		return 0, 0, err
	}
	reader := bufio.NewReader(c)
	answer, err := http.ReadResponse(reader, &http.Request{Method: request[:strings.IndexByte(request, ' ')]})
	if err != nil {
		return 0, 0, err
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return 0, 0, err
	}
	took = time.Since(since)
	rest, err := io.ReadAll(reader)
	if timeout, is := err.(net.Error); is && timeout.Timeout() {
		return answer.StatusCode, took, fmt.Errorf("the connection stays open")
	}
	if len(rest) > 0 {
		return answer.StatusCode, took, fmt.Errorf("answered again: %.60q", rest)
	}
	return answer.StatusCode, took, nil
}

// Nobody holds a connection by a body that does not come: not with a denial, not with what the proxy
// answers itself, and not with what it forwards without a key.
func TestNoAnswerWaitsForABody(t *testing.T) {
	t.Parallel()
	upstream := newUpstream(t)
	proxy := start(t, fmt.Sprintf(`{"auth_mode":"all_except_health","api_key":%q,"exempt":["/healthz","/ready"]}`, always), upstream.URL+"/base")
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	down := start(t, strict(always), "http://"+gone.Addr().String())
	key := "X-Api-Key: " + always + "\r\n"
	var clients sync.WaitGroup
	for _, c := range []struct {
		proxy  *host.Proxy
		head   string
		status int
	}{
		{proxy, "POST / HTTP/1.1\r\n", 401},
		{proxy, "GET / HTTP/1.1\r\n", 401},
		{proxy, "GET /healthz HTTP/1.1\r\n", 200},
		{proxy, "HEAD /healthz HTTP/1.1\r\n", 200},
		{proxy, "POST /../a HTTP/1.1\r\n" + key, 400},
		{proxy, "OPTIONS /#a HTTP/1.1\r\n", 400},
		{proxy, "OPTIONS * HTTP/1.1\r\n", 400},
		{proxy, "OPTIONS / HTTP/1.1\r\n", 200},
		{proxy, "GET /ready HTTP/1.1\r\n", 200},
		{proxy, "POST / HTTP/1.1\r\nExpect: something\r\n", 417},
		{down, "POST / HTTP/1.1\r\n" + key, 502},
		{down, "OPTIONS / HTTP/1.1\r\n", 502},
	} {
		for _, body := range []string{"Content-Length: 1000\r\n\r\nx", "Transfer-Encoding: chunked\r\n\r\n1000\r\nx", "Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n"} {
			for range 5 {
				clients.Add(1)
				go func() {
					defer clients.Done()
					status, took, err := unfinished(c.proxy.Addr, c.head+"Host: a\r\n"+body)
					if err != nil || status != c.status || took > soon {
						t.Errorf("%q: %d after %v, %v", c.head+body, status, took, err)
					}
				}()
			}
		}
	}
	clients.Wait()
}

// Nor by a request that does not end, or a body that the upstream does not wait for.
func TestConnectionsEnd(t *testing.T) {
	t.Parallel()
	early := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Connection", "close")
		_, _ = io.WriteString(w, strings.Repeat("x", 10000)) // of a length that is not known beforehand
	})
	proxy := start(t, strict(always), early)
	status, took, err := unfinished(proxy.Addr, "POST / HTTP/1.1\r\nHost: a\r\nX-Api-Key: "+always+"\r\nContent-Length: 1000\r\n\r\nx")
	if err != nil || status != 200 || took > closed {
		t.Errorf("an early answer: %d after %v, %v", status, took, err)
	}
	dying := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
			c.Close()
		}
	})
	_, _, err = unfinished(start(t, strict(always), dying).Addr, "POST / HTTP/1.1\r\nHost: a\r\nX-Api-Key: "+always+"\r\nContent-Length: 1000\r\n\r\nx")
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half an answer: %v", err)
	}
	c, err := net.Dial("tcp", proxy.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(closed))
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nX-Api-Key: ")
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Errorf("a head without an end: %v", err)
	}
	if answer, err := host.Raw(proxy.Addr, []byte("GET / HTTP/1.1\r\nHost: a\r\nX-A: "+strings.Repeat("a", 2*maxHeaders)+"\r\n\r\n")); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 431 ") {
		t.Errorf("a head that is too long: %.60q, %v", answer, err)
	}
}

// A client that ends its side before there is an answer gets none, and no empty 200 that nobody gave.
func TestNoAnswerOfItsOwn(t *testing.T) {
	upstream := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	proxy := start(t, strict(always), upstream)
	c, err := net.Dial("tcp", proxy.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(closed))
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nX-Api-Key: "+always+"\r\n\r\n")
	_ = c.(*net.TCPConn).CloseWrite()
	if answer, err := io.ReadAll(c); err != nil || len(answer) > 0 {
		t.Errorf("%.60q, %v", answer, err)
	}
}

// What the gate lets pass takes as long as it takes: a body and an answer that last longer than any
// limit for those that are not wanted.
func TestLongStreamsAreNotCut(t *testing.T) {
	t.Parallel()
	upstream := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		buffer := make([]byte, 1)
		for {
			_, err := io.ReadFull(r.Body, buffer)
			if err != nil {
				return
			}
			_, _ = w.Write(buffer)
			w.(http.Flusher).Flush()
		}
	})
	proxy := start(t, strict(always), upstream)
	c, err := net.Dial("tcp", proxy.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const parts = 9
	_ = c.SetDeadline(time.Now().Add(requestTimeout + 30*time.Second))
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nX-Api-Key: %s\r\nContent-Length: %d\r\n\r\n", always, parts)
	for range parts {
		time.Sleep((requestTimeout + 4*time.Second) / parts)
		_, _ = io.WriteString(c, "x")
	}
	reader := bufio.NewReader(c)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(answer.Body); err != nil || string(text) != strings.Repeat("x", parts) {
		t.Errorf("%q, %v", text, err)
	}
	// And the connection goes on.
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
	if answer, err = http.ReadResponse(reader, nil); err != nil || answer.StatusCode != 401 {
		t.Errorf("%v, %v", answer, err)
	}
}
