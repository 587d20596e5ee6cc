package fault_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// page is what the public page says of its rows: scope, what is next, and when
// again. The wording is ours; these words decide.
var page = map[fault.Code]string{
	"RecommendEmpty.InstanceTypeNoStock":            "group stop after 5 minutes",
	"OperationDenied.NoStock":                       "pool fall over after 5 minutes",
	"Zone.NotOnSale":                                "pool fall over after 30 minutes",
	"InstanceType.Offline":                          "pool fall over after 30 minutes",
	"InvalidResourceType.NotSupported":              "pool fall over after 30 minutes",
	"RecommendEmpty.DiskTypeNoStock":                "disk fall over after 5 minutes",
	"RecommendEmpty.InstanceTypeNotAuthorized":      "type fall over when pool or account changed",
	"InvalidParameter.NotMatch/BootMode":            "typeImage fall over when pool or account changed",
	"InvalidParameter.NotMatch/VTPM":                "typeImage fall over when pool or account changed",
	"InvalidImage.NotSupported":                     "typeImage fall over when pool or account changed",
	"InvalidInstanceType.NotSupported":              "typeImage fall over when pool or account changed",
	"InvalidParameter.Conflict":                     "typeDisk fall over when pool or account changed",
	"NotSupportSnapshotEncrypted.DiskCategory":      "template stop when pool or account changed",
	"InvalidParameter.KmsNotEnabled":                "template stop when pool or account changed",
	"InvalidParameter.KMSKeyId.CMKNotEnabled":       "template stop when pool or account changed",
	"InvalidParameter.KMSKeyId.KMSUnauthorized":     "account stop when pool or account changed",
	"QuotaExceed.ElasticQuota":                      "type fall over after 10 minutes",
	"QuotaExceed.ElasticQuota/ZoneVCPU":             "zone fall over after 10 minutes",
	"QuotaExceeded.PrivateIpAddress":                "vswitch fall over after 10 minutes",
	"InvalidAccountStatus.NotEnoughBalance":         "account stop after 10 minutes",
	"InsufficientBalance.CreditPay":                 "account stop after 10 minutes",
	"Account.Arrearage":                             "account stop after 10 minutes",
	"NodepoolScaleFailed.FailedJoinCluster":         "instance replace growing waits",
	"ApiServer.InternalError":                       "cluster stop growing waits",
	"Err.QueryEndpoints":                            "cluster stop growing waits",
	"ApiServer.TooManyRequests":                     "cluster wait growing waits",
	"ScalingActivityInProgress":                     "group reject as soon as it ends",
	"Instance.StartInstanceFailed":                  "instance replace growing waits",
	"NodepoolScaleFailed.WaitForDesiredSizeTimeout": "group end task -",
	"NodepoolScaleFailed.PartialSuccess":            "group end task -",
	"ScaleIn.OnlyKeptInstances":                     "group wait when pool or account changed",
	"MissingAuth.AliyunOOSLifecycleHook4CSRole":     "account go on when pool or account changed",
	"SecurityGroup.NodeAccessDenied":                "template stop when pool or account changed",
	"Throttling.ConcurrentLimitExceeded":            "account same token in the next minute",
	"OperationConflict":                             "group same token growing waits",
	"IdempotentParameterMismatch":                   "piece uncertain -",
	"SignatureNonceUsed":                            "account stop when pool or account changed",
	"InvalidUser.PassRoleForbidden":                 "account stop when pool or account changed",
	"RealNameAuthenticationError":                   "account stop when pool or account changed",
	"InvalidVSwitchId.NotFound":                     "vswitch fall over when pool or account changed",
	"InvalidImageId.NotFound":                       "template stop when pool or account changed",
	"OperationDenied.PaygNotAvailable":              "pool fall over after 30 minutes",
	"OperationDenied.CloudSSDNotSupported":          "disk fall over after 30 minutes",
	"QuotaExceed.PostPaidDisk":                      "account stop after 10 minutes",
	"QuotaExceed.DeploymentSetInstanceQuotaFull":    "pool fall over after 30 minutes",
	"SecurityGroupInstanceLimitExceed":              "template stop when pool or account changed",
	"OperationDenied.SpotPriceLowerThanPublicPrice": "pool fall over after 10 minutes",
	"ImageNotSupportInstanceType":                   "typeImage fall over when pool or account changed",
	"Forbidden.InstanceNotFound":                    "instance gone -",
	"IncorrectInstanceStatus":                       "instance wait growing waits",
	"InvalidOperation.DeletionProtection":           "instance keep when pool or account changed",
}

func TestRowsDecideAsWritten(t *testing.T) {
	for code, want := range page {
		e := fault.Lookup(code)
		got := fmt.Sprintf("%s %s %s", e.Scope, e.Next, e.Retry)
		if !e.Known || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", code, got, want)
		}
	}
}

func TestRowsAreWhole(t *testing.T) {
	seen := map[fault.Code]bool{}
	for _, e := range fault.All() {
		for _, c := range append([]fault.Code{e.Code}, e.Also...) {
			if seen[c] {
				t.Errorf("%s stands in two rows", c)
			}
			seen[c] = true
			if got := fault.Lookup(c); got.Code != c || got.Cause != e.Cause || !got.Known {
				t.Errorf("%s is looked up as %+v", c, got)
			}
			if len(c) > 128 {
				t.Errorf("%s is too long for a status", c)
			}
		}
		if e.Cause == "" || e.Solution == "" || e.Scope == "" || e.Next == "" || e.Retry.Kind == "" || e.RaisedBy == "" || e.Origin == "" {
			t.Errorf("%s has a hole: %+v", e.Code, e)
		}
		if strings.HasSuffix(e.Cause, ".") || strings.HasSuffix(e.Solution, ".") {
			t.Errorf("%s: cause and solution have no full stop", e.Code)
		}
		if (e.Retry.Kind == fault.RetryExpiry) != (e.Retry.After > 0) {
			t.Errorf("%s: retry %+v", e.Code, e.Retry)
		}
	}
}

func TestUnknownCodesFallOver(t *testing.T) {
	e := fault.Lookup("Something.New")
	if e.Known || e.Scope != fault.ScopePool || e.Next != fault.NextFallOver || e.Retry != (fault.Retry{Kind: fault.RetryExpiry, After: 5 * time.Minute}) {
		t.Errorf("%+v", e)
	}
	if e := fault.Lookup("OperationDenied.NoStock/Later"); !e.Known || e.Code != "OperationDenied.NoStock/Later" || e.Next != fault.NextFallOver {
		t.Errorf("a variant without a row: %+v", e)
	}
	if e := fault.Lookup("InvalidImage.NotSupported/Other"); !strings.Contains(e.Cause, "do not fit") {
		t.Errorf("a text that fits no row: %q", e.Cause)
	}
}

func TestLookupGivesCopies(t *testing.T) {
	e := fault.Lookup(fault.Throttling)
	e.Also[0] = "spoilt"
	for _, row := range fault.All() {
		if len(row.Also) > 0 && row.Also[0] == "spoilt" {
			t.Error("an entry shares the catalogue's memory")
		}
	}
}

func TestFaultTellsAllInOneLine(t *testing.T) {
	f := &fault.Fault{Code: fault.InsufficientBalance, WireCode: "InsufficientBalance", Message: "Your account does not have enough balance.", RequestID: "5D1E"}
	err := fmt.Errorf("create: %w", f)
	want := "create: InsufficientBalance.CreditPay (InsufficientBalance): Your account does not have enough balance. (request id 5D1E)"
	if err.Error() != want || fault.Of(err) != f || fault.CodeOf(err) != fault.InsufficientBalance {
		t.Errorf("%s", err)
	}
	if fault.Of(errors.New("x")) != nil || fault.CodeOf(nil) != "" {
		t.Error("found a fault where there is none")
	}
	if c := fault.NotMatchVTPM; c.Wire() != "InvalidParameter.NotMatch" || c.Variant() != "VTPM" {
		t.Errorf("%s is %s and %s", c, c.Wire(), c.Variant())
	}
}

func TestAdviceNamesWhatIsKnown(t *testing.T) {
	e := fault.Lookup(fault.NotMatchBootMode)
	bare := "choose another instance type, or another image (poolkeeper offer list --images names them; poolkeeper pool edit POOL)"
	if got := e.Advice(nil); got != bare {
		t.Errorf("without details: %q", got)
	}
	got := e.Advice(fault.Details{fault.DetailFits: "ecs.g7.large, ecs.c7.large", fault.DetailFit: "ecs.g7.large", fault.DetailZone: "a", fault.DetailPool: "web"})
	want := strings.ReplaceAll(bare, "POOL", "web") + "; in stock in a and fitting the image: ecs.g7.large, ecs.c7.large; to add one: poolkeeper pool edit web --add-type ecs.g7.large"
	if got != want {
		t.Errorf("with types: %q", got)
	}
	if got := e.AdviceFor("mend it", fault.Details{fault.DetailImage: "m-1"}); got != "mend it; the image is m-1" {
		t.Errorf("with another solution: %q", got)
	}
	f := fault.New(fault.NodeAccessDenied, "")
	f.Details = fault.Details{fault.DetailGroup: "sg-1", fault.DetailAddress: "10.0.0.5:6443/tcp"}
	if got := f.Advice(); !strings.HasSuffix(got, "; let sg-1 reach 10.0.0.5:6443/tcp") {
		t.Errorf("with group and address: %q", got)
	}
	if got := fault.List(strings.Split("a b c d e f g h i j k", " ")); got != "a, b, c, d, e, f, g, h, i, j, …" {
		t.Errorf("a long list: %q", got)
	}
}

func TestScopesCover(t *testing.T) {
	a := fault.Place{VSwitch: "vsw-1", Zone: "a", InstanceType: "t1", ChargeType: "Spot", Disk: "essd"}
	with := func(change func(*fault.Place)) fault.Place { p := a; change(&p); return p }
	other := map[string]fault.Place{
		"same":    a,
		"vswitch": with(func(p *fault.Place) { p.VSwitch = "vsw-2" }),
		"zone":    with(func(p *fault.Place) { p.Zone = "b" }),
		"type":    with(func(p *fault.Place) { p.InstanceType = "t2" }),
		"charge":  with(func(p *fault.Place) { p.ChargeType = "PayAsYouGo" }),
		"disk":    with(func(p *fault.Place) { p.Disk = "ssd" }),
	}
	// What each scope does not cover when it differs.
	differs := map[fault.Scope]string{
		fault.ScopePool: "zone type charge", fault.ScopeType: "type", fault.ScopeTypeImage: "type",
		fault.ScopeTypeDisk: "type disk", fault.ScopeVSwitch: "vswitch", fault.ScopeZone: "zone", fault.ScopeDisk: "zone disk",
		fault.ScopeTemplate: "", fault.ScopeAccount: "", fault.ScopeCluster: "", fault.ScopeGroup: "",
		fault.ScopeInstance: "same vswitch zone type charge disk", fault.ScopePiece: "same vswitch zone type charge disk",
	}
	for s, not := range differs {
		for name, p := range other {
			want := true
			for _, n := range strings.Fields(not) {
				want = want && n != name
			}
			if got := s.Covers(a, p); got != want {
				t.Errorf("%s covers another %s: %v, want %v", s, name, got, want)
			}
		}
	}
}

func TestWaits(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 45, 0, time.UTC)
	w := fault.DefaultWaits()
	cases := map[string]struct {
		retry fault.Retry
		waits fault.Waits
		tries int
		want  time.Duration
		ok    bool
	}{
		"expiry":            {fault.Lookup(fault.NoStock).Retry, w, 1, 5 * time.Minute, true},
		"expiry, divided":   {fault.Lookup(fault.NoStock).Retry, w.Divided(60), 1, 5 * time.Second, true},
		"zero value":        {fault.Lookup(fault.NoStock).Retry, fault.Waits{}, 1, 5 * time.Minute, true},
		"first backoff":     {fault.Lookup(fault.InternalError).Retry, w, 1, time.Second, true},
		"fourth backoff":    {fault.Lookup(fault.InternalError).Retry, w, 4, 8 * time.Second, true},
		"hundredth backoff": {fault.Lookup(fault.InternalError).Retry, w, 100, 150 * time.Second, true},
		"next minute":       {fault.Lookup(fault.Throttling).Retry, w, 1, 15 * time.Second, true},
		"edit":              {fault.Lookup(fault.KMSNotActivated).Retry, w, 1, 30 * time.Minute, true},
		"edit, divided":     {fault.Lookup(fault.KMSNotActivated).Retry, w.Divided(30).Divided(2), 1, 30 * time.Second, true},
		"now":               {fault.Lookup(fault.ScalingActivityInProgress).Retry, w, 1, 0, true},
		"never":             {fault.Lookup(fault.TokenMismatch).Retry, w, 1, 0, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if d, ok := c.waits.Wait(c.retry, c.tries, now, 0); d != c.want || ok != c.ok {
				t.Errorf("%s %v, want %s %v", d, ok, c.want, c.ok)
			}
		})
	}
}

func TestBackoffStaysWithinBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "first"))
		most := first * time.Duration(rapid.Int64Range(1, 1000).Draw(t, "most"))
		tries := rapid.IntRange(0, 1000).Draw(t, "tries")
		random := rapid.Float64Range(0, 0.999999).Draw(t, "random")
		d := fault.Backoff(first, most, tries, random)
		if d < first/2 || d > most {
			t.Fatalf("%s is not between %s and %s", d, first/2, most)
		}
		if next := fault.Backoff(first, most, tries+1, random); next < d {
			t.Fatalf("%s after %s", next, d)
		}
	})
}

// Whatever the cloud may refuse to create has a few words for lists.
func TestRefusalsOfTheCloudHaveBriefWords(t *testing.T) {
	for _, e := range fault.All() {
		for _, c := range append(e.Also, e.Code) {
			if b := c.Brief(); strings.Contains(e.RaisedBy, "the cloud, creating") && (b == string(c) || len(b) > 32) {
				t.Errorf("%s: %q", c, b)
			}
		}
	}
	if b := fault.Code("Strange.Code").Brief(); b != "Strange.Code" {
		t.Errorf("%q", b)
	}
}

func TestAdviceNamesThePool(t *testing.T) {
	for _, e := range fault.All() {
		s := e.General()
		if i := strings.Index(s, "poolkeeper pool "); i >= 0 && !strings.Contains(s[i:], "POOL") {
			t.Errorf("%s names a command without its pool: %s", e.Code, s)
		}
	}
}

// blank is a word in capitals that stands for a value in a command.
var blank = regexp.MustCompile(`\b(ACTION|AMOUNT|CATEGORY|COUNT|GIB|HOOK|ID|KEY|N|NAME|POOL|PRICE|ROLE|TYPE|VSWITCH|ZONE)\b|[<>{}]`)

// Whatever is known of a case, no blank is left in its advice; in general each
// is a word.
func TestAdviceLeavesNoBlank(t *testing.T) {
	known := []fault.Detail{
		fault.DetailFits, fault.DetailFit, fault.DetailOffered, fault.DetailExists, fault.DetailField, fault.DetailValue, fault.DetailOther,
		fault.DetailOtherVSwitch, fault.DetailOtherImage, fault.DetailImage, fault.DetailInstanceType, fault.DetailZone, fault.DetailVSwitch,
		fault.DetailDisk, fault.DetailSystemDisk, fault.DetailGiB, fault.DetailFamily, fault.DetailAddress, fault.DetailGroup, fault.DetailPermission,
		fault.DetailCommand, fault.DetailBlocked, fault.DetailInstance, fault.DetailMIG, fault.DetailInstances, fault.DetailCodes, fault.DetailKey,
		fault.DetailHook, fault.DetailRole, fault.DetailRunning,
	}
	rapid.Check(t, func(t *rapid.T) {
		d := fault.Details{fault.DetailPool: "web"}
		for _, k := range known {
			d[k] = rapid.SampledFrom([]string{"", "one", "one, two"}).Draw(t, string(k))
		}
		for _, e := range fault.All() {
			if s := e.Advice(d); blank.MatchString(s) || strings.Contains(s, "  ") {
				t.Fatalf("%s: %s", e.Code, s)
			}
		}
	})
	for _, e := range fault.All() {
		if s := e.General(); strings.ContainsAny(s, "<>{}") {
			t.Errorf("%s in general: %s", e.Code, s)
		}
	}
}

// What stands for a value in a command is named where it is known, and is one.
func TestAdviceNamesTheValuesOfCommands(t *testing.T) {
	for name, c := range map[string]struct {
		code    fault.Code
		details fault.Details
		want    string
	}{
		"the type to be opened":    {fault.InstanceTypeNotAuthorized, fault.Details{fault.DetailInstanceType: "ecs.r8a.4xlarge"}, "local type grant ecs.r8a.4xlarge)"},
		"the quota of a zone":      {fault.ElasticQuotaZone, fault.Details{fault.DetailZone: "zone-a"}, "local quota set zone-a none)"},
		"not of several zones":     {fault.ElasticQuotaZone, fault.Details{fault.DetailZone: "zone-a, zone-b"}, "have the quota raised"},
		"the key":                  {fault.KMSKeyDisabled, fault.Details{fault.DetailKey: "key-1"}, "local kms on key-1)"},
		"a disk that would do":     {fault.ParameterConflict, fault.Details{fault.DetailSystemDisk: "cloud_auto:40"}, "--system-disk cloud_auto:40)"},
		"the size of an ESSD":      {fault.EncryptionNeedsESSD, fault.Details{fault.DetailGiB: "40"}, "--system-disk cloud_essd:40)"},
		"the role to be handed on": {fault.PassRoleForbidden, fault.Details{fault.DetailRole: "r-1"}, "allow ram:PassRole for the role r-1 in"},
		"one that exists":          {fault.VSwitchNotFound, fault.Details{fault.DetailOther: "vsw-a", fault.DetailVSwitch: "vsw-x"}, "--add-vswitch vsw-a --remove-vswitch vsw-x"},
		"a vSwitch that would do":  {fault.InstanceTypeNoStock, fault.Details{fault.DetailOtherVSwitch: "vsw-c"}, "--add-vswitch vsw-c)"},
		"one with addresses":       {fault.PrivateIPAddress, fault.Details{fault.DetailOtherVSwitch: "vsw-c"}, "--add-vswitch vsw-c"},
		"another image":            {fault.NotMatchBootMode, fault.Details{fault.DetailOtherImage: "img-2"}, "--image img-2)"},
		"the missing permission":   {fault.ForbiddenRAM, fault.Details{fault.DetailPermission: "RunInstances"}, "permission grant RunInstances)"},
		"the hook to be taken out": {fault.HookAbandoned, fault.Details{fault.DetailHook: "warm-up"}, "--remove-hook warm-up"},
		"the hook to be changed":   {fault.HookTimedOut, fault.Details{fault.DetailHook: "warm-up"}, "--hook warm-up=timeout=1h"},
		"nothing":                  {fault.InstanceTypeNotAuthorized, nil, "ask the vendor to open the type for the account, or choose another"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fault.Lookup(c.code).Advice(c.details); !strings.Contains(got, c.want) {
				t.Errorf("advice is %q, want %q", got, c.want)
			}
		})
	}
}
