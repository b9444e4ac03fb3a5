// Package answer answers requests whose bodies nobody reads.
package answer

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What is read of a body, and for how long, so that its client finds the answer and can go on using
// the connection. Then the connection is closed.
const (
	DrainTime  = 5 * time.Second
	DrainBytes = 16 << 20
)

// JSON is Send with a body of JSON.
func JSON(w http.ResponseWriter, r *http.Request, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	Send(w, r, status, body)
}

// Send answers at once, whether the request's body has come or not. Left to itself, net/http waits
// for the first 256 KiB of it, and for as long as the client likes.
//
// Behind a ResponseWriter that hides http.ResponseController's calls, the connection is closed.
func Send(w http.ResponseWriter, r *http.Request, status int, body string) {
	h := w.Header()
	controller := http.NewResponseController(w)
	if r.ProtoMajor < 2 {
		// Its client may not read. net/http lifts this with the next request.
		_ = controller.SetWriteDeadline(time.Now().Add(DrainTime))
	}
	if !remains(r) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		return
	}
	if controller.EnableFullDuplex() != nil {
		h.Set("Connection", "close")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
	_ = controller.Flush()
	Drain(w, r)
}

// Drain reads what is left of the request's body after the answer. Where that takes too long or is
// too much, it has the server close the connection: the rest of the body would be read as the next
// request.
func Drain(w http.ResponseWriter, r *http.Request) {
	if !remains(r) || http.NewResponseController(w).SetReadDeadline(time.Now().Add(DrainTime)) != nil {
		return
	}
	if _, err := io.CopyN(io.Discard, r.Body, DrainBytes); err == io.EOF {
		return
	}
	Abandon(w, r)
	for {
		// This is how a handler tells net/http's own ResponseWriter, and no other.
		_, _ = http.MaxBytesReader(w, io.NopCloser(strings.NewReader("x")), 0).Read(make([]byte, 1))
		wrapper, is := w.(interface{ Unwrap() http.ResponseWriter })
		if !is {
			return
		}
		w = wrapper.Unwrap()
	}
}

// Abandon has every reading of the request's body fail. net/http reads on when the handler is done,
// and lifts the time limit for that where it finds somebody else in the middle of reading.
func Abandon(w http.ResponseWriter, r *http.Request) {
	if remains(r) && http.NewResponseController(w).SetReadDeadline(time.Now()) == nil {
		_, _ = io.CopyN(io.Discard, r.Body, 64<<10) // what is there already, and then it has failed
	}
}

// remains says whether the connection is held up by a body. HTTP/2 resets the stream alone.
func remains(r *http.Request) bool {
	return r.ProtoMajor < 2 && r.Body != nil && r.Body != http.NoBody
}
