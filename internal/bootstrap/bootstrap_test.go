package bootstrap

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

var rewrite = flag.Bool("rewrite", false, "rewrite golden files")

func sample() Settings {
	return Settings{
		ClusterID: "c-1", Pool: "web", Region: "cn-hangzhou", APIServer: "https://10.0.0.5:6443",
		CA:         []byte("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"),
		Token:      "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl",
		IssuedTime: time.Unix(1_800_000_000, 0), ExpiryTime: time.Unix(1_800_007_200, 0),
		Labels: map[string]string{"team": "a", "node.kubernetes.io/kind": "web"},
		Taints: []Taint{{Key: "dedicated", Value: "web", Effect: "NoSchedule"}},
	}
}

type config struct {
	WriteFiles []struct {
		Path, Permissions, Encoding, Content string
	} `json:"write_files"`
	RunCmd [][]string `json:"runcmd"`
}

func read(t testing.TB, userData []byte) (config, map[string]string) {
	t.Helper()
	var c config
	if err := yaml.UnmarshalStrict(userData, &c); err != nil {
		t.Fatalf("user data is not YAML: %v\n%s", err, userData)
	}
	files := map[string]string{}
	for _, f := range c.WriteFiles {
		if f.Encoding == "b64" {
			b, err := base64.StdEncoding.DecodeString(f.Content)
			if err != nil {
				t.Fatal(err)
			}
			f.Content = string(b)
		}
		files[f.Path] = f.Content
	}
	return c, files
}

func TestRenderGolden(t *testing.T) {
	got, err := Render(sample())
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "userdata.yaml")
	if *rewrite {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Fatalf("user data changed (-want +got), accept with -rewrite:\n%s", d)
	}
}

// What is written on the machine is, byte for byte, what was meant.
func TestRenderKeepsBytes(t *testing.T) {
	scripts := map[string]string{
		"plain":                 "echo a\n",
		"no newline at its end": "echo a",
		"newlines at its end":   "echo a\n\n\n",
		"indented":              "  echo a\n",
		"own interpreter":       "#!/bin/bash\n\tset -e\n\n\techo \"a: b\"\n",
		"other letters":         "echo größe # 节点\n",
		"carriage returns":      "echo a\r\n",
		"bytes":                 "echo \x00\xff\n",
		"YAML in it":            "- a: |\n  b: 'c\n#d\n",
	}
	for name, script := range scripts {
		t.Run(name, func(t *testing.T) {
			s := sample()
			s.BeforeJoin, s.AfterJoin = script, script
			b, err := Render(s)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(b, []byte("#cloud-config\n")) {
				t.Fatal("does not start with #cloud-config")
			}
			_, files := read(t, b)
			want := script
			if !strings.HasPrefix(want, "#!") {
				want = "#!/bin/sh\n" + want
			}
			if files[dirParts+"pre-user-data"] != want || files[dirParts+"post-user-data"] != want {
				t.Fatalf("script is %q, want %q", files[dirParts+"pre-user-data"], want)
			}
			if files[dirParts+partJoin] != joinScript {
				t.Fatal("the join script was changed on the way")
			}
			for line := range strings.Lines(files[pathChecksums]) {
				sum, file, _ := strings.Cut(strings.TrimSpace(line), "  ")
				h := sha256.Sum256([]byte(files[dirParts+file]))
				if sum != hex.EncodeToString(h[:]) {
					t.Errorf("the checksum of %s is not that of its bytes", file)
				}
			}
			if n := strings.Count(files[pathChecksums], "\n"); n != 3 {
				t.Errorf("%d script parts have a checksum, want 3", n)
			}
		})
	}
}

func TestRenderTooLarge(t *testing.T) {
	s := sample()
	s.BeforeJoin = strings.Repeat("echo 0123456789\n", 1024)
	if b, err := Render(s); err != nil || len(b) > MaxUserData {
		t.Fatalf("16 KiB of a person's script: %d bytes, %v", len(b), err)
	}
	s.AfterJoin = s.BeforeJoin
	_, err := Render(s)
	if fault.CodeOf(err) != fault.RequestInvalid || !strings.Contains(err.Error(), "pre-user-data 16394") || !strings.Contains(err.Error(), "32768") {
		t.Fatalf("err = %v, want the sizes", err)
	}
	if strings.Contains(err.Error(), s.Token) {
		t.Fatal("the error tells the credential")
	}
}

func TestRenderRefuses(t *testing.T) {
	cases := map[string]struct {
		change func(*Settings)
		want   string
	}{
		"no pool":              {func(s *Settings) { s.Pool = "" }, "pool name"},
		"pool that is a path":  {func(s *Settings) { s.Pool = "a/b" }, "pool name"},
		"region with a quote":  {func(s *Settings) { s.Region = "a'b" }, "region"},
		"plain HTTP":           {func(s *Settings) { s.APIServer = "http://10.0.0.5:6443" }, "https://HOST:PORT"},
		"address with a quote": {func(s *Settings) { s.APIServer = "https://a'b" }, "https://HOST:PORT"},
		"no CA":                {func(s *Settings) { s.CA = nil }, "CA"},
		"no credential":        {func(s *Settings) { s.Token = "" }, "join credential"},
		"credential of lines":  {func(s *Settings) { s.Token = "a\nb" }, "join credential"},
		"label of kubernetes":  {func(s *Settings) { s.Labels = map[string]string{"node-role.kubernetes.io/web": ""} }, "node-role.kubernetes.io/web"},
		"label that splits":    {func(s *Settings) { s.Labels = map[string]string{"a": "b,c=d"} }, "label value"},
		"label with a blank":   {func(s *Settings) { s.Labels = map[string]string{"a b": "c"} }, "label key"},
		"taint without effect": {func(s *Settings) { s.Taints = []Taint{{Key: "a"}} }, "effect"},
		"kubelet's provider":   {func(s *Settings) { s.KubeletExtra = map[string]json.RawMessage{"providerID": json.RawMessage(`"x"`)} }, "providerID"},
		"kubelet nonsense":     {func(s *Settings) { s.KubeletExtra = map[string]json.RawMessage{"maxPods": json.RawMessage(`x`)} }, "not JSON"},
		"kubelet without hash": {func(s *Settings) { s.KubeletURL = "https://x" }, "SHA-256"},
		"half a second":        {func(s *Settings) { s.LeaseDuration = 500 * time.Millisecond }, "whole seconds"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := sample()
			tc.change(&s)
			if _, err := Render(s); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("err = %v, want %q in it", err, tc.want)
			}
		})
	}
}

func TestKubeletConfiguration(t *testing.T) {
	s := sample()
	s.KubeletExtra = map[string]json.RawMessage{"maxPods": json.RawMessage("64")}
	s.LeaseDuration = 200 * time.Second
	s.SystemReserved = map[string]string{"cpu": "100m"}
	b, err := Render(s)
	if err != nil {
		t.Fatal(err)
	}
	_, files := read(t, b)
	var got struct {
		ProviderID               string
		MaxPods                  int
		RotateCertificates       bool
		NodeLeaseDurationSeconds int
		SystemReserved           map[string]string
		RegisterWithTaints       []Taint
	}
	if err := json.Unmarshal([]byte(files[pathKubelet]), &got); err != nil {
		t.Fatal(err)
	}
	if got.ProviderID != providerIDPlace || got.MaxPods != 64 || !got.RotateCertificates || got.NodeLeaseDurationSeconds != 200 ||
		got.SystemReserved["cpu"] != "100m" || len(got.RegisterWithTaints) != 1 || got.RegisterWithTaints[0] != s.Taints[0] {
		t.Fatalf("kubelet configuration is %s", files[pathKubelet])
	}
	if !strings.Contains(joinScript, "s/"+providerIDPlace+"/") {
		t.Fatal("the script does not put the provider ID in")
	}
}

// The script and the constants say the same.
func TestScriptKeepsContract(t *testing.T) {
	for _, want := range []string{`"` + AnnotationDocument + `":`, `"` + AnnotationSignature + `":`, `"signerName":"` + Signer + `"`,
		`"usages":["` + strings.Join(Usages(), `","`) + `"]`, "/O=" + Organization + "/CN=" + CommonNamePrefix + "$id",
		`"generateName":"` + RequestPrefix("%s") + `"`, LabelPool + "=$POOL"} {
		if !strings.Contains(joinScript, want) {
			t.Errorf("the script lacks %s", want)
		}
	}
	for _, s := range Steps()[1:] {
		if !strings.Contains(joinScript, "\nbegin "+string(s)+"\n") {
			t.Errorf("the script lacks the step %s", s)
		}
	}
	if out, err := exec.Command("sh", "-n", "join.sh").CombinedOutput(); err != nil {
		t.Errorf("sh -n join.sh: %v\n%s", err, out)
	}
}

func TestLabelAllowed(t *testing.T) {
	for key, want := range map[string]bool{
		"team": true, "example.com/team": true, "node.kubernetes.io/kind": true, "kubelet.kubernetes.io/x": true,
		"a.node.kubernetes.io/x": true, "failure-domain.beta.kubernetes.io/zone": true,
		"kubernetes.io/role": false, "node-role.kubernetes.io/x": false, "x.k8s.io/y": false, "k8s.io/y": false,
		"node-restriction.kubernetes.io/x": false, "a.node-restriction.kubernetes.io/x": false,
		"poolkeeper.io/pool": false, "topology.kubernetes.io/zone": false, "kubernetes.io/hostname": false,
		"": false, "/x": false, "x/": false, "-a": false, "a=b": false, "a,b": false, "A.B/c": false,
		strings.Repeat("a", 64): false, "notkubernetes.io/x": true,
	} {
		if err := LabelAllowed(key); (err == nil) != want {
			t.Errorf("LabelAllowed(%q) = %v, want allowed %v", key, err, want)
		}
	}
}
