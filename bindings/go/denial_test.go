package keygate_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// soon is how long "at once" may take on a busy machine, and within how long a connection whose body
// does not come is closed.
const (
	soon   = 4 * time.Second
	closed = 15 * time.Second
)

// gated is a server of which no request may reach what is behind it.
func gated(t *testing.T, with func(http.Handler) http.Handler, timeout time.Duration) *httptest.Server {
	handler := policyOf(t, `{"auth_mode":"strict","api_key":"`+right+`"}`).Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a denied request was handed on")
	}))
	if with != nil {
		handler = with(handler)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Config.ReadTimeout = timeout
	server.Start()
	t.Cleanup(server.Close)
	return server
}

// end waits until the server closes the connection, and fails where more is answered before.
func (c connection) end(t testing.TB) {
	t.Helper()
	if rest, err := io.ReadAll(c.Reader); len(rest) > 0 {
		t.Errorf("answered again: %.60q", rest)
	} else if timeout, is := err.(net.Error); is && timeout.Timeout() {
		t.Error("the connection stays open")
	}
}

// Many clients announce a body, send one byte of it and wait: each is answered at once, and its
// connection is closed.
func TestDenialDoesNotWait(t *testing.T) {
	t.Parallel()
	server := gated(t, nil, 0)
	since := time.Now()
	var clients sync.WaitGroup
	for i := range 200 {
		c := dial(t, server.Listener.Addr().String())
		body := []string{"Content-Length: 1000\r\n\r\nx", "Transfer-Encoding: chunked\r\n\r\n1000\r\nx", "Content-Length: 1000000\r\n\r\nx"}[i%3]
		if _, err := fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\n%s", body); err != nil {
			t.Fatal(err)
		}
		clients.Add(1)
		go func() {
			defer clients.Done()
			_ = c.SetDeadline(time.Now().Add(closed))
			answer, err := http.ReadResponse(c.Reader, nil)
			if err != nil {
				t.Errorf("no answer: %v", err)
				return
			}
			text, err := io.ReadAll(answer.Body)
			if took := time.Since(since); err != nil || took > soon || answer.StatusCode != 401 || !strings.Contains(string(text), "missing_api_key") {
				t.Errorf("%d %q after %v, %v", answer.StatusCode, text, took, err)
			}
			c.end(t)
		}()
	}
	clients.Wait()
}

// A body that comes in drops is not waited for longer, and what comes of it is no request.
func TestDenialOfADrippingBody(t *testing.T) {
	t.Parallel()
	server := gated(t, nil, 0)
	c := dial(t, server.Listener.Addr().String())
	_ = c.SetDeadline(time.Now().Add(closed))
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
				_, _ = io.WriteString(c, "OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n"[:10])
			}
		}
	}()
	if answer := c.answer(t, "POST"); answer.StatusCode != 401 {
		t.Error(answer.StatusCode)
	}
	c.end(t)
	close(stop)
	<-stopped
}

// A client that sends its body goes on using its connection: a body that comes with the request, one
// that comes later, and one that net/http by itself would not read to the end.
func TestDenialKeepsTheConnection(t *testing.T) {
	server := gated(t, nil, 0)
	c := dial(t, server.Listener.Addr().String())
	for _, size := range []int{0, 1, 1000, 256 << 10, 3 << 20} {
		body := strings.Repeat("b", size)
		chunk := ""
		if size > 0 {
			chunk = fmt.Sprintf("%x\r\n%s\r\n", size, body)
		}
		for head, body := range map[string]string{
			fmt.Sprintf("Content-Length: %d\r\n\r\n", size): body,
			"Transfer-Encoding: chunked\r\n\r\n":            chunk + "0\r\n\r\n",
		} {
			for _, late := range []bool{false, true} {
				now, later := "POST / HTTP/1.1\r\nHost: a\r\n"+head, body
				if !late {
					now, later = now+body, ""
				}
				sent := make(chan error)
				go func() {
					_, err := io.WriteString(c, now)
					sent <- err
				}()
				if answer := c.answer(t, "POST"); answer.StatusCode != 401 || answer.Close {
					t.Fatalf("%q, %d bytes, late %t: %d, closed %t", head, size, late, answer.StatusCode, answer.Close)
				}
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
				if _, err := io.WriteString(c, later); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// The next request of a connection is decided by itself, also one that came along with a body.
func TestDenialAndTheNextRequest(t *testing.T) {
	server := gated(t, nil, 0)
	answer := raw(t, server, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcPOST /b HTTP/1.1\r\nHost: a\r\nX-Api-Key: wrong\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	if strings.Count(answer, "HTTP/1.1 401 ") != 2 || strings.Count(answer, `"missing_api_key"`) != 1 || strings.Count(answer, `"invalid_api_key"`) != 1 {
		t.Errorf("%q", answer)
	}
}

// Who asks first whether to send a body is told not to.
func TestDenialOfExpectContinue(t *testing.T) {
	t.Parallel()
	server := gated(t, nil, 0)
	c := dial(t, server.Listener.Addr().String())
	_ = c.SetDeadline(time.Now().Add(closed))
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n")
	since := time.Now()
	if answer := c.answer(t, "POST"); answer.StatusCode != 401 || time.Since(since) > soon {
		t.Errorf("%d after %v", answer.StatusCode, time.Since(since))
	}
	c.end(t)
}

// opaque hides all that a ResponseWriter may be able to do but what it must.
type opaque struct{ http.ResponseWriter }

// wrapped hides it, and says where it is.
type wrapped struct{ opaque }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Other middleware in front: at once all the same.
func TestDenialBehindOtherMiddleware(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(http.ResponseWriter) http.ResponseWriter{
		"opaque":  func(w http.ResponseWriter) http.ResponseWriter { return opaque{w} },
		"wrapped": func(w http.ResponseWriter) http.ResponseWriter { return wrapped{opaque{wrapped{opaque{w}}}} },
	} {
		server := gated(t, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(wrap(w), r) })
		}, closed/2) // all that ends the opaque one
		c := dial(t, server.Listener.Addr().String())
		_ = c.SetDeadline(time.Now().Add(closed))
		since := time.Now()
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx")
		answer := c.answer(t, "POST")
		if answer.StatusCode != 401 || time.Since(since) > soon {
			t.Errorf("%s: %d after %v", name, answer.StatusCode, time.Since(since))
		}
		if name == "wrapped" {
			c.end(t)
		} else if !answer.Close {
			t.Error("opaque: the rest of the body would be read as a request")
		}
	}
	// And one that can do nothing of it, with a body that never ends.
	body, writer := io.Pipe()
	defer writer.Close()
	w := httptest.NewRecorder()
	policyOf(t, `{"auth_mode":"strict"}`).Middleware(nil).ServeHTTP(w, httptest.NewRequest("POST", "/", body))
	if w.Code != 401 || w.Body.Len() == 0 {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

// Over HTTP/2 it is the stream that ends.
func TestDenialOverHTTP2(t *testing.T) {
	server := httptest.NewUnstartedServer(policyOf(t, `{"auth_mode":"strict"}`).Middleware(nil))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), closed)
	defer cancel()
	for range 3 {
		body, writer := io.Pipe()
		r, _ := http.NewRequestWithContext(ctx, "POST", server.URL, body)
		go func() { _, _ = io.WriteString(writer, "x") }()
		since := time.Now()
		answer, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		writer.Close()
		if err != nil || answer.Proto != "HTTP/2.0" || answer.StatusCode != 401 || len(text) == 0 || time.Since(since) > soon {
			t.Errorf("%s %d %q after %v, %v", answer.Proto, answer.StatusCode, text, time.Since(since), err)
		}
	}
}
