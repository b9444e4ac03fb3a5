package keygate_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func contents(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The header and the library in this folder are those of the sources, by way of `make lib`.
func TestLibraryIsTheHeaders(t *testing.T) {
	archive := contents(t, "libkeygate_linux_amd64.a")
	want := contents(t, "../../include/keygate.h") + fmt.Sprintf("#define KEYGATE_LIBRARY \"%x\"\n", sha256.Sum256([]byte(archive)))
	if contents(t, "keygate.h") != want {
		t.Error("keygate.h is not include/keygate.h with the library's hash; run make lib")
	}
	if contents(t, "keygate.wasm") != contents(t, "../../target/wasm/keygate.wasm") {
		t.Error("keygate.wasm is not what was built last; run make wasm")
	}
}

// The README's sample is the example that the tests run.
func TestReadmeSample(t *testing.T) {
	_, rest, _ := strings.Cut(contents(t, "README.md"), "```go\n")
	sample, _, found := strings.Cut(rest, "```")
	example := contents(t, "example_test.go")
	var lines []string
	for line := range strings.Lines(sample) {
		if text := strings.TrimSpace(line); text != "" {
			lines = append(lines, text)
		}
	}
	if !found || len(lines) < 10 {
		t.Fatal("there is no sample")
	}
	for _, line := range lines {
		_, after, found := strings.Cut(example, line)
		if !found {
			t.Errorf("not in the example, or not in this order: %s", line)
		}
		example = after
	}
}

const (
	name    = "github.com/keygate/keygate/bindings/go"
	program = `package main

import (
	"fmt"
	"net/http"

	"` + name + `"
)

func main() {
	policy, err := keygate.New(keygate.Config{APIKey: keygate.NewSecret("k")})
	fmt.Println(err, policy.Decide("GET", "/", http.Header{"X-Api-Key": {"k"}}).Reason)
}
`
)

// needed is what this module requires.
const needed = "require github.com/tetratelabs/wazero v1.10.1\n"

// user is a module of its own that uses this one.
type user struct {
	*testing.T
	folder string
	env    []string
}

func newUser(t *testing.T, goMod string, env ...string) user {
	u := user{t, t.TempDir(), append(append(os.Environ(), "GOWORK=off"), env...)}
	for file, text := range map[string]string{"go.mod": "module example\n\ngo 1.24\n" + goMod, "main.go": program} {
		if err := os.WriteFile(filepath.Join(u.folder, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return u
}

func (u user) run(arguments ...string) string {
	u.Helper()
	output, err := u.try(arguments...)
	if err != nil {
		u.Fatalf("go %v: %v\n%s", arguments, err, output)
	}
	return output
}

func (u user) try(arguments ...string) (string, error) {
	command := exec.Command("go", arguments...)
	command.Dir, command.Env = u.folder, u.env
	output, err := command.CombinedOutput()
	return string(output), err
}

// Where a file is missing that is built and not committed, it says so, once, and not which names are not there.
func TestWhatIsMissing(t *testing.T) {
	module := t.TempDir()
	if err := os.CopyFS(module, os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	goMod := needed + "require " + name + " v0.0.0\nreplace " + name + " => " + module + "\n"
	for _, c := range []struct{ file, want, cgo string }{
		{"libkeygate_linux_amd64.a", "the keygate library is not in this folder", "CGO_ENABLED=1"},
		{"keygate.h", "the keygate library is not in this folder", "CGO_ENABLED=1"},
		{"keygate.wasm", "pattern keygate.wasm: no matching files found", "CGO_ENABLED=0"},
	} {
		if err := os.Remove(filepath.Join(module, c.file)); err != nil {
			t.Fatal(err)
		}
		u := newUser(t, goMod, c.cgo, "GOFLAGS=-mod=mod -buildvcs=false")
		output, err := u.try("build", ".")
		if err == nil || !strings.Contains(output, c.want) || strings.Contains(output, "undefined") || strings.Count(output, "\n") > 6 {
			t.Errorf("without %s: %v\n%s", c.file, err, output)
		}
	}
}

// ways are the two of running the library, and what tells which one a program has: its list of modules.
var ways = map[string]bool{"CGO_ENABLED=1": false, "CGO_ENABLED=0": true}

// works runs the program.
func (u user) works(wazero bool, arguments ...string) {
	u.Helper()
	if output := u.run(append(append([]string{"run"}, arguments...), ".")...); output != "<nil> key_matched\n" {
		u.Errorf("%q", output)
	}
	program := filepath.Join(u.folder, "program")
	u.run(append(append([]string{"build"}, arguments...), "-o", program, ".")...)
	if modules := u.run("version", "-m", program); strings.Contains(modules, "github.com/tetratelabs/wazero") != wazero {
		u.Error(modules)
	}
}

// A program that keeps its dependencies in its vendor folder builds from there alone.
func TestVendoring(t *testing.T) {
	module, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for cgo, wazero := range ways {
		u := newUser(t, needed+"require "+name+" v0.0.0\nreplace "+name+" => "+module+"\n", cgo, "GOFLAGS=-buildvcs=false")
		u.run("mod", "tidy")
		u.run("mod", "vendor")
		vendored := filepath.Join(u.folder, "vendor", name)
		if flags := u.run("list", "-mod=vendor", "-f", "{{.Dir}} {{.CgoLDFLAGS}}", name); !strings.HasPrefix(flags, vendored+" ") || strings.Contains(flags, module) {
			t.Errorf("not from the vendor folder: %s", flags)
		}
		u.works(wazero, "-mod=vendor")
		for _, file := range []string{"keygate.h", "libkeygate_linux_amd64.a", "keygate.wasm"} {
			if _, err := os.Stat(filepath.Join(vendored, file)); err != nil {
				t.Errorf("not in the vendor folder: %v", err)
			}
		}
	}
}

// The packed module is one that `go get` takes. What it requires comes from the folder of downloads, which
// is another proxy.
func TestPackedModule(t *testing.T) {
	packed, err := filepath.Abs("../../target/go/module")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	downloads := filepath.Join(strings.TrimSpace(string(cache)), "cache", "download")
	for cgo, wazero := range ways {
		u := newUser(t, "", cgo, "GOPROXY=file://"+packed+",file://"+downloads, "GONOSUMDB=*", "GOFLAGS=-modcacherw -buildvcs=false", "GOMODCACHE="+t.TempDir())
		u.run("get", name+"@latest")
		u.works(wazero)
		for _, platform := range []string{"GOOS=darwin GOARCH=arm64", "GOOS=windows GOARCH=amd64"} {
			if wazero {
				u.env = append(u.env, strings.Fields(platform)...)
				u.run("build", ".")
			}
		}
	}
}
