package keygate_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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
	archive := contents(t, "libkeygate_"+runtime.GOOS+"_"+runtime.GOARCH+".a")
	want := contents(t, "../../include/keygate.h") + fmt.Sprintf("#define KEYGATE_LIBRARY \"%x\"\n", sha256.Sum256([]byte(archive)))
	if contents(t, "keygate.h") != want {
		t.Error("keygate.h is not include/keygate.h with the library's hash; run make lib")
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

// Where it cannot be built, it says why, once, and not which names are not there.
func TestWhatIsMissing(t *testing.T) {
	module := t.TempDir()
	if err := os.CopyFS(module, os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	goMod := "require " + name + " v0.0.0\nreplace " + name + " => " + module + "\n"
	says := func(want string, env ...string) {
		t.Helper()
		u := newUser(t, goMod, append(env, "GOFLAGS=-mod=mod -buildvcs=false")...)
		output, err := u.try("build", ".")
		if err == nil || strings.Count(output, want) == 0 || strings.Contains(output, "undefined") || strings.Count(output, "\n") > 6 {
			t.Errorf("%v: %v\n%s", env, err, output)
		}
	}
	says("keygate needs cgo: set CGO_ENABLED=1", "CGO_ENABLED=0")
	for _, file := range []string{"libkeygate_" + runtime.GOOS + "_" + runtime.GOARCH + ".a", "keygate.h"} {
		if err := os.Remove(filepath.Join(module, file)); err != nil {
			t.Fatal(err)
		}
		says("the keygate library is not in this folder", "CGO_ENABLED=1")
	}
}

// A program that keeps its dependencies in its vendor folder builds from there alone.
func TestVendoring(t *testing.T) {
	module, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	u := newUser(t, "require "+name+" v0.0.0\nreplace "+name+" => "+module+"\n", "GOFLAGS=-buildvcs=false")
	u.run("mod", "vendor")
	vendored := filepath.Join(u.folder, "vendor", name)
	if flags := u.run("list", "-mod=vendor", "-f", "{{.Dir}} {{.CgoLDFLAGS}}", name); !strings.HasPrefix(flags, vendored+" ") || strings.Contains(flags, module) {
		t.Errorf("not from the vendor folder: %s", flags)
	}
	if output := u.run("run", "-mod=vendor", "."); output != "<nil> key_matched\n" {
		t.Errorf("%q", output)
	}
	for _, file := range []string{"keygate.h", "libkeygate_" + runtime.GOOS + "_" + runtime.GOARCH + ".a"} {
		if _, err := os.Stat(filepath.Join(vendored, file)); err != nil {
			t.Errorf("not in the vendor folder: %v", err)
		}
	}
}

// The packed module is one that `go get` takes.
func TestGoGet(t *testing.T) {
	proxy, err := filepath.Abs("../../target/go/module")
	if err != nil {
		t.Fatal(err)
	}
	u := newUser(t, "", "GOPROXY=file://"+proxy, "GONOSUMDB="+name, "GOFLAGS=-modcacherw -buildvcs=false", "GOMODCACHE="+t.TempDir())
	u.run("get", name+"@latest")
	if output := u.run("run", "."); output != "<nil> key_matched\n" {
		t.Errorf("%q", output)
	}
}
