// Package vectors reads the conformance vectors of the repository, for the tests.
package vectors

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// Vector is a request and what the gate makes of it.
type Vector struct {
	Name   string
	Config json.RawMessage
	Method string
	Target string
	// Headers are names and values in the order sent.
	Headers [][2]string
	Want    Outcome
}

// Outcome is what is expected, in the names of `keygate check`.
type Outcome struct {
	Error         bool     `json:"error"`
	Verdict       string   `json:"verdict"`
	Reason        string   `json:"reason"`
	EffectiveMode string   `json:"effective_mode"`
	Source        *string  `json:"source"`
	HeaderIndex   *int     `json:"header_index"`
	KeyIndex      *int     `json:"key_index"`
	Findings      []string `json:"findings"`
	// Drop are the indices of the headers that are not forwarded, where the vector says which.
	Drop []int    `json:"drop"`
	Lint []string `json:"lint"`
}

// Header gives the headers as net/http does.
func (v Vector) Header() http.Header {
	h := http.Header{}
	for _, field := range v.Headers {
		h.Add(field[0], field[1])
	}
	return h
}

// FirstOf gives the index of the first header of this name.
func (v Vector) FirstOf(name string) int {
	return slices.IndexFunc(v.Headers, func(field [2]string) bool { return strings.EqualFold(field[0], name) })
}

// least is how many vectors there are at the least, so that an empty folder does not pass.
const least = 1000

// Load reads all vectors but those about JSON that is no request.
func Load(t testing.TB) []Vector {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	paths, err := filepath.Glob(filepath.Join(filepath.Dir(file), "../../../../tests/vectors/*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []Vector
	for _, path := range paths {
		if filepath.Base(path) == "input_errors.jsonl" {
			continue
		}
		found, err := read(path)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		vectors = append(vectors, found...)
	}
	if len(vectors) < least {
		t.Fatalf("%d vectors, want %d or more", len(vectors), least)
	}
	return vectors
}

func read(path string) ([]Vector, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var vectors []Vector
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Name  string `json:"name"`
			Input struct {
				Config  json.RawMessage `json:"config"`
				Method  string          `json:"method"`
				Target  string          `json:"target"`
				Headers [][2]string     `json:"headers"`
			} `json:"input"`
			Output Outcome `json:"output"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, err
		}
		v := Vector{Name: line.Name, Config: line.Input.Config, Headers: line.Input.Headers, Want: line.Output}
		texts := []*string{&v.Method, &v.Target}
		for i := range v.Headers {
			texts = append(texts, &v.Headers[i][0], &v.Headers[i][1])
		}
		v.Method, v.Target = line.Input.Method, line.Input.Target
		for _, text := range texts {
			if *text, err = byteEach(*text); err != nil {
				return nil, err
			}
		}
		vectors = append(vectors, v)
	}
	return vectors, lines.Err()
}

// byteEach takes each character for the byte that it stands for.
func byteEach(text string) (string, error) {
	raw := make([]byte, 0, len(text))
	for _, character := range text {
		if character > 0xff {
			return "", errors.New("a character beyond U+00FF")
		}
		raw = append(raw, byte(character))
	}
	return string(raw), nil
}
