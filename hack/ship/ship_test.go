package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// built builds a program as the image needs it.
func built(t *testing.T, pkg string, env ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", file, pkg)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return file
}

// shipped writes an image and its list of parts, and reads the image back.
func shipped(t *testing.T, env ...string) (file string, img v1.Image) {
	t.Helper()
	program, dir := built(t, "./testdata/program", append(env, "CGO_ENABLED=0")...), t.TempDir()
	file = filepath.Join(dir, "image.tar")
	sbom := filepath.Join(dir, "sbom.json")
	for _, args := range [][]string{{"sbom", sbom, program}, {"image", file, "v1.2.3", program, sbom}} {
		if err := run(args); err != nil {
			t.Fatal(err)
		}
	}
	img, err := tarball.ImageFromPath(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file, img
}

// What stands in the image says who runs what: not root, our program, and not
// one more file.
func TestTheImageHoldsOneProgramAndNoRoot(t *testing.T) {
	_, img := shipped(t)
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if k := c.Config; k.User != "65532:65532" || !slices.Equal(k.Entrypoint, []string{"/poolkeeper"}) || !slices.Equal(k.Cmd, []string{"controller"}) ||
		len(k.Env) != 0 || len(k.Volumes) != 0 || len(k.ExposedPorts) != 0 || c.OS != "linux" || c.Architecture != runtime.GOARCH {
		t.Errorf("config %+v", c)
	}
	var names []string
	eachFile(t, img, func(h *tar.Header, _ io.Reader) {
		names = append(names, h.Name)
		if h.Typeflag != tar.TypeReg || h.Mode&0o7222 != 0 || h.Uid != 0 || h.Gid != 0 || h.ModTime.Unix() != 0 {
			t.Errorf("%s: type %c, mode %o, owner %d:%d, time %s", h.Name, h.Typeflag, h.Mode, h.Uid, h.Gid, h.ModTime)
		}
	})
	if !slices.Equal(names, []string{"poolkeeper", "sbom.cdx.json"}) {
		t.Errorf("files %v", names)
	}
}

// An image is for the machine that its program was built for, and for no machine
// that images of it are not made for.
func TestTheImageNamesItsMachine(t *testing.T) {
	for _, machine := range []string{"amd64", "arm64"} {
		_, img := shipped(t, "GOOS=linux", "GOARCH="+machine)
		if c, err := img.ConfigFile(); err != nil || c.Architecture != machine {
			t.Errorf("%s: %+v, %v", machine, c, err)
		}
	}
	other := built(t, "./testdata/program", "CGO_ENABLED=0", "GOOS=linux", "GOARCH=riscv64")
	if err := run([]string{"image", filepath.Join(t.TempDir(), "image.tar"), "v1", other, other}); err == nil || !strings.Contains(err.Error(), "EM_RISCV") {
		t.Errorf("error %v", err)
	}
}

// The same program gives the same image, byte for byte.
func TestTheSameProgramGivesTheSameImage(t *testing.T) {
	a, _ := shipped(t)
	b, _ := shipped(t)
	one, err := os.ReadFile(a)
	other, err2 := os.ReadFile(b)
	if err != nil || err2 != nil || !bytes.Equal(one, other) {
		t.Errorf("two images of one program differ: %v, %v", err, err2)
	}
}

// The image's own entry point runs as its user on a file system that nobody can
// write to, and there is nothing else: no shell, no library, no place to write.
func TestTheImageRunsReadOnly(t *testing.T) {
	_, img := shipped(t)
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	eachFile(t, img, func(h *tar.Header, r io.Reader) {
		content, err := io.ReadAll(r)
		if err == nil {
			err = os.WriteFile(filepath.Join(root, h.Name), content, os.FileMode(h.Mode))
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	owner, group, _ := strings.Cut(c.Config.User, ":")
	uid, err := strconv.ParseUint(owner, 10, 32)
	gid, err2 := strconv.ParseUint(group, 10, 32)
	if err != nil || err2 != nil || uid == 0 || gid == 0 {
		t.Fatalf("user %s", c.Config.User)
	}
	defer syscall.Unmount(root, syscall.MNT_DETACH) //nolint:errcheck // a mount that is not there
	var errs [2]error
	errs[0] = syscall.Mount(root, root, "", syscall.MS_BIND, "")
	errs[1] = syscall.Mount("", root, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	if errs != [2]error{} {
		t.Fatalf("a read-only file system needs root, as CI has: %v", errs)
	}
	cmd := exec.Command(c.Config.Entrypoint[0], c.Config.Cmd...)
	cmd.Dir, cmd.Env = c.Config.WorkingDir, []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	out, err := cmd.CombinedOutput()
	if want := "args [controller] user 65532 65532\nroots of the system: <nil>\n"; err != nil || string(out) != want {
		t.Errorf("%v: %q, want %q", err, out, want)
	}
}

func eachFile(t *testing.T, img v1.Image, f func(*tar.Header, io.Reader)) {
	t.Helper()
	content := mutate.Extract(img)
	defer content.Close()
	for r := tar.NewReader(content); ; {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		f(h, r)
	}
}

// A program that needs a loader is refused: in an image without one it would
// not start.
func TestADynamicProgramIsRefused(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	err = run([]string{"image", filepath.Join(t.TempDir(), "image.tar"), "v1", shell, shell})
	if err == nil || !strings.Contains(err.Error(), "linked dynamically") {
		t.Errorf("error %v", err)
	}
}

// The list of parts names every module that is linked, at its version and with
// its sum, the standard library, and which program holds what.
func TestTheListOfPartsIsWhole(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := built(t, "./testdata/program", "CGO_ENABLED=0")
	file := filepath.Join(t.TempDir(), "sbom.json")
	if err := run([]string{"sbom", file, self, program}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var b cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(text), cdx.BOMFileFormatJSON).Decode(&b); err != nil {
		t.Fatal(err)
	}
	parts := map[string]cdx.Component{}
	for _, c := range *b.Components {
		parts[c.Name] = c
	}
	content, _ := os.ReadFile(program)
	sum := sha256.Sum256(content)
	own := parts["program"]
	if own.Type != cdx.ComponentTypeApplication || own.Hashes == nil || (*own.Hashes)[0].Value != hex.EncodeToString(sum[:]) {
		t.Errorf("the program itself: %+v", own)
	}
	lib := parts["github.com/google/go-containerregistry"]
	if lib.PackageURL != "pkg:golang/github.com/google/go-containerregistry@"+lib.Version || lib.Version == "" || lib.Hashes == nil {
		t.Errorf("a module: %+v", lib)
	}
	if std := parts["stdlib"]; "go"+std.Version != runtime.Version() {
		t.Errorf("the standard library: %+v, want %s", std, runtime.Version())
	}
	for _, d := range *b.Dependencies {
		if d.Ref == "program/program" && len(*d.Dependencies) != 1 {
			t.Errorf("the small program holds %v", *d.Dependencies)
		}
	}
}
