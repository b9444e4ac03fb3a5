package main

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
)

// target is the URL whose request target is, byte for byte, what the gate decided on behind the
// upstream's own path: nothing is decoded, cleaned or encoded anew. Of an absolute target, the
// path and query: the host is the upstream's. False for what is no target, for what leads out of
// the upstream's own path, and where net/http would send something else.
func (f *forwarder) target(method, raw string) (*url.URL, bool) {
	// A '#' is no part of a target. The gate takes it for no path, others may take it for its end.
	if strings.Contains(raw, "#") {
		return nil, false
	}
	switch {
	case raw == "*":
		// It means the upstream as a whole, which is more than what lies behind a path.
		if method != http.MethodOptions || f.prefix != "" {
			return nil, false
		}
	case strings.HasPrefix(raw, "/"):
	default:
		var is bool
		if raw, is = ofAbsolute(raw); !is {
			return nil, false
		}
	}
	if raw != "*" {
		if f.prefix != "" && climbs(raw) {
			return nil, false
		}
		raw = f.prefix + raw
	}
	target := &url.URL{Opaque: raw}
	if strings.HasPrefix(raw, "//") { // net/url takes an Opaque like this for a host
		parsed, err := url.ParseRequestURI(raw)
		if err != nil {
			return nil, false
		}
		target = parsed
	}
	return target, target.RequestURI() == raw
}

// ofAbsolute is the path and query of a target like http://host/path?query.
func ofAbsolute(raw string) (string, bool) {
	scheme, rest, is := strings.Cut(raw, "://")
	if !is || scheme == "" || strings.ContainsFunc(scheme, func(c rune) bool {
		return !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.ContainsRune("+-.", c))
	}) {
		return "", false
	}
	switch start := strings.IndexAny(rest, "/?"); {
	case start == 0, rest == "":
		return "", false // no host
	case start < 0:
		return "/", true
	case rest[start] == '?':
		return "/" + rest[start:], true
	default:
		return rest[start:], true
	}
}

// maxDecodings is how often a path may be percent-encoded over and over.
const maxDecodings = 4

// climbs says whether any way to read the path leads above where it starts: decoded once or more
// often, "\" taken for "/" or not, what follows a ";" in a segment taken for a parameter or not.
func climbs(target string) bool {
	path, _, _ := strings.Cut(target, "?")
	for range maxDecodings {
		if climbsAsItIs(path, "/") || climbsAsItIs(path, `/\`) {
			return true
		}
		decoded := decode(path)
		if decoded == path {
			return false
		}
		path = decoded
	}
	return true
}

func climbsAsItIs(path, separators string) bool {
	depth := 0
	for segment := range strings.FieldsFuncSeq(path, func(c rune) bool { return strings.ContainsRune(separators, c) }) {
		for range maxDecodings {
			segment = decode(segment)
		}
		if end := strings.IndexAny(segment, ";\x00"); end >= 0 {
			segment = segment[:end]
		}
		switch segment {
		case ".", "": // the second may be none, but may also be taken for a segment
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}

// decode decodes each percent-encoded byte once, and leaves alone what is none.
func decode(text string) string {
	start := strings.IndexByte(text, '%')
	if start < 0 {
		return text
	}
	decoded := []byte(text[:start])
	for i := start; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			var b [1]byte
			if _, err := hex.Decode(b[:], []byte(text[i+1:i+3])); err == nil {
				decoded = append(decoded, b[0])
				i += 2
				continue
			}
		}
		decoded = append(decoded, text[i])
	}
	return string(decoded)
}
