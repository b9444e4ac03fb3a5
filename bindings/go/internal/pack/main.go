// Command pack writes the module, with what is built and not committed (the header, the library and
// keygate.wasm), as a folder that serves as a GOPROXY.
package main

import (
	"archive/zip"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/keygate/keygate/bindings/go"
)

const module = "github.com/keygate/keygate/bindings/go"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "Usage: pack FOLDER, from the module's own folder")
		os.Exit(2)
	}
	if err := pack(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func pack(folder string) error {
	version := "v" + keygate.Version()
	committed, err := exec.Command("git", "ls-files").Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	licences, err := filepath.Glob("../../LICENSE*")
	if err != nil {
		return err
	}
	files := append(strings.Fields(string(committed)), "keygate.h", "libkeygate_linux_amd64.a", "keygate.wasm")
	files = append(files, licences...)

	versions := filepath.Join(folder, module, "@v")
	if err := os.MkdirAll(versions, 0o755); err != nil {
		return err
	}
	goMod, err := os.ReadFile("go.mod")
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"list": version + "\n", version + ".info": fmt.Sprintf("{\"Version\":%q}\n", version), version + ".mod": string(goMod),
	} {
		if err := os.WriteFile(filepath.Join(versions, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	archive, err := os.Create(filepath.Join(versions, version+".zip"))
	if err != nil {
		return err
	}
	writer := zip.NewWriter(archive)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return errors.Join(err, archive.Close())
		}
		entry, err := writer.Create(module + "@" + version + "/" + strings.TrimPrefix(file, "../../"))
		if err == nil {
			_, err = entry.Write(text)
		}
		if err != nil {
			return errors.Join(err, archive.Close())
		}
	}
	return errors.Join(writer.Close(), archive.Close())
}
