package main

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/keygate/keygate/bindings/go/internal/host"
	"github.com/keygate/keygate/bindings/go/internal/vectors"
)

const notCarried = "testdata/not_carried.txt"

var update = flag.Bool("update", false, "write "+notCarried+" anew; then read what changed in it")

// Reasons for which a vector is not even sent: it would be another request.
const (
	lineEnds = "a line would end there"
	nameEnds = "the name would end at the colon"
)

// badPercent is '%' without two hexadecimal digits after it.
var badPercent = regexp.MustCompile(`%(.?$|[^0-9A-Fa-f]|.[^0-9A-Fa-f])`)

// refusal says why HTTP/1.1, as net/http reads it, cannot carry a vector. "" where it can.
func refusal(v vectors.Vector) string {
	token := func(text string) bool {
		return text != "" && !strings.ContainsFunc(text, func(c rune) bool {
			return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
		})
	}
	control := func(text string, but string) bool {
		return strings.ContainsFunc(text, func(c rune) bool { return (c < ' ' || c == 0x7f) && !strings.ContainsRune(but, c) })
	}
	all := v.Method + v.Target
	for _, field := range v.Headers {
		all += field[0] + field[1]
	}
	hosts := 0
	for _, field := range v.Headers {
		switch {
		case strings.ContainsAny(all, "\r\n"):
			return lineEnds
		case strings.Contains(field[0], ":"):
			return nameEnds
		case !token(field[0]):
			return "a header name is not a token"
		case control(field[1], "\t"):
			return "a header value holds a control character"
		case strings.EqualFold(field[0], "host"):
			hosts++
			if strings.ContainsAny(field[1], " /") {
				return "the Host header is no host"
			}
		}
	}
	switch {
	case strings.ContainsAny(all, "\r\n"):
		return lineEnds
	case !token(v.Method):
		return "the method is not a token"
	case v.Target == "":
		return "there is no target"
	case strings.Contains(v.Target, " ") || control(v.Target, ""):
		return "the target holds a space or a control character"
	case badPercent.MatchString(strings.Split(v.Target, "?")[0]):
		return "the target has a '%' that encodes nothing"
	case v.Method == "CONNECT" && v.Target[0] != '/':
		return ""
	case v.Target != "*" && v.Target[0] != '/' && !strings.Contains(v.Target, "://"):
		return "the target is neither a path nor absolute"
	case hosts > 1:
		return "there are two Host headers"
	}
	return ""
}

// send writes the request as the vector has it.
func send(addr string, v vectors.Vector) ([]byte, error) {
	var request bytes.Buffer
	fmt.Fprintf(&request, "%s %s HTTP/1.1\r\n", v.Method, v.Target)
	for _, field := range v.Headers {
		fmt.Fprintf(&request, "%s: %s\r\n", field[0], field[1])
	}
	if v.FirstOf("host") < 0 {
		request.WriteString("Host: gate.example\r\n")
	}
	request.WriteString("Connection: close\r\n\r\n")
	return host.Raw(addr, request.Bytes())
}

// Every vector that HTTP can carry, over a socket: the answer, and in the log every field of the
// decision.
func TestVectorsOverSockets(t *testing.T) {
	upstream := host.NewUpstream()
	defer upstream.Close()
	groups := map[string][]vectors.Vector{}
	for _, v := range vectors.Load(t) {
		groups[string(v.Config)] = append(groups[string(v.Config)], v)
	}
	carried, refused, configs := 0, []string{}, 0
	for config, group := range groups {
		if group[0].Want.Error {
			for _, v := range group {
				if p, err := host.Start(binary, config, upstream.URL); err == nil {
					p.Stop()
					t.Errorf("%s: the proxy runs", v.Name)
				}
				configs++
			}
			continue
		}
		proxy, err := host.Start(binary, config, upstream.URL, "--explain")
		if err != nil {
			t.Fatalf("%s: %v", group[0].Name, err)
		}
		for _, v := range group {
			why := refusal(v)
			if why != "" {
				refused = append(refused, v.Name+"\t"+why)
			}
			if why == lineEnds || why == nameEnds {
				continue
			}
			mark := proxy.Mark()
			answer, err := send(proxy.Addr, v)
			if err != nil {
				t.Errorf("%s: %v", v.Name, err)
				continue
			}
			if why != "" {
				if !bytes.HasPrefix(answer, []byte("HTTP/1.1 400 ")) || proxy.Mark() != mark {
					t.Errorf("%s: was carried, though %s: %.40q", v.Name, why, answer)
				}
				continue
			}
			carried++
			compare(t, v, proxy, mark, string(answer))
		}
		proxy.Stop()
	}
	slices.Sort(refused)
	list := strings.Join(refused, "\n") + "\n"
	if *update {
		if err := os.WriteFile(notCarried, []byte(list), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(notCarried); err != nil || string(want) != list {
		t.Errorf("%s is not the list of what HTTP cannot carry, %v; it is:\n%s", notCarried, err, list)
	}
	t.Logf("%d vectors over sockets, %d configurations refused at the start, %d that HTTP cannot carry:\n%s", carried, configs, len(refused), list)
}

func compare(t *testing.T, v vectors.Vector, proxy *host.Proxy, mark int, answer string) {
	t.Helper()
	record, err := proxy.Decision(mark)
	if err != nil {
		t.Errorf("%s: %v; answered %.60q", v.Name, err, answer)
		return
	}
	text := func(name string) string { return fmt.Sprint(cmp.Or(record[name], any(""))) }
	got := strings.Join([]string{text("verdict"), text("reason"), text("effective_mode"), text("source"), text("key_index"), text("findings")}, " ")
	source, key, first := "", "", -1
	if v.Want.Source != nil {
		source, first = *v.Want.Source, v.FirstOf(*v.Want.Source)
	}
	if v.Want.KeyIndex != nil {
		key = fmt.Sprint(*v.Want.KeyIndex)
	}
	want := strings.Join([]string{v.Want.Verdict, v.Want.Reason, v.Want.EffectiveMode, source, key, strings.Join(v.Want.Findings, ",")}, " ")
	if got != want || v.Want.HeaderIndex != nil && *v.Want.HeaderIndex != first {
		t.Errorf("%s: %q, want %q", v.Name, got, want)
	}
	head, body, _ := strings.Cut(answer, "\r\n\r\n")
	status := strings.Fields(head)[1]
	if v.Want.Verdict == "deny" {
		code := "invalid_api_key"
		if v.Want.Reason == "credential_missing" {
			code = "missing_api_key"
		}
		if status != "401" || !strings.Contains(head, "\r\nWww-Authenticate: Bearer realm=\"keygate\"") ||
			!strings.Contains(head, "\r\nContent-Type: application/json") ||
			v.Method != "HEAD" && !strings.Contains(body, `"code":"`+code+`"`) {
			t.Errorf("%s: denied with %q", v.Name, answer)
		}
		return
	}
	// What the gate allows and the proxy cannot forward unchanged, it refuses.
	want = "200"
	if strings.Contains(v.Target, "#") || v.Method == "CONNECT" {
		want = "400"
	}
	if status != want {
		t.Errorf("%s: allowed and answered %s, want %s", v.Name, status, want)
	}
}
