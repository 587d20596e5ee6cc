package alicloud_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/cloud/alicloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

const secret = "the-secret-of-the-key"

// wire is the other side of the wire: it hands each action to a function and
// keeps what was sent.
type wire struct {
	mu      sync.Mutex
	sent    []url.Values
	headers []http.Header
	urls    []string
	answer  func(action string, in url.Values) (status int, body any)
}

func (w *wire) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		panic(err)
	}
	w.mu.Lock()
	in := r.PostForm
	in.Set("Action", r.Header.Get("X-Acs-Action"))
	w.sent = append(w.sent, in)
	w.headers = append(w.headers, r.Header.Clone())
	w.urls = append(w.urls, r.URL.String())
	w.mu.Unlock()
	status, body := w.answer(in.Get("Action"), in)
	if status == 0 {
		panic(http.ErrAbortHandler)
	}
	if status == http.StatusTemporaryRedirect {
		rw.Header().Set("Location", "/again")
	}
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	if err := json.NewEncoder(rw).Encode(body); err != nil {
		panic(err)
	}
}

// calls returns how often each action was sent.
func (w *wire) calls() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := map[string]int{}
	for _, in := range w.sent {
		n[in.Get("Action")]++
	}
	return n
}

func wireError(code string) map[string]string {
	return map[string]string{"Code": code, "Message": "text of " + code, "RequestId": "R-1"}
}

// world is a provider, its wire, and a clock that waiting moves.
type world struct {
	*alicloud.Provider
	wire *wire
	now  time.Time
	mu   sync.Mutex
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) sleep(ctx context.Context, d time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
	return ctx.Err()
}

func newWorld(t *testing.T, answer func(action string, in url.Values) (int, any), change ...func(*alicloud.Options)) *world {
	t.Helper()
	w := &world{wire: &wire{answer: answer}, now: time.Now()}
	srv := httptest.NewServer(w.wire)
	t.Cleanup(srv.Close)
	o := alicloud.Options{
		Region: "cn-test", Endpoint: srv.URL, VPCs: []string{"vpc-1"}, AccessKeyID: "key-id", AccessKeySecret: secret,
		Now: w.clock, Sleep: w.sleep, Random: func() float64 { return 0.5 }, Version: "1.2.3",
	}
	for _, c := range change {
		c(&o)
	}
	p, err := alicloud.New(o)
	if err != nil {
		t.Fatal(err)
	}
	w.Provider = p
	return w
}

func launch() cloud.Launch {
	return cloud.Launch{
		VSwitch: "vsw-1", Zone: "cn-test-a", InstanceType: "ecs.g7.large", ChargeType: cloud.Spot, SpotPriceLimit: cloud.Price{Micros: 125_000},
		SpotProtectedHours: 1, ImageID: "img-1", SystemDisk: cloud.Disk{Category: "cloud_essd", SizeGiB: 40, PerformanceLevel: "PL1"},
		DataDisks:      []cloud.Disk{{Category: "cloud_essd", SizeGiB: 100, Encrypted: true, KMSKeyID: "k-1"}},
		SecurityGroups: []string{"sg-1", "sg-2"}, KeyPair: "kp", Name: "web", HostName: "${instance_id}",
		Tags: map[string]string{"team": "shop", cloud.TagPool: "web"},
	}
}

func request(t *testing.T, p *alicloud.Provider) cloud.Request {
	t.Helper()
	body, err := p.Encode(launch())
	if err != nil {
		t.Fatal(err)
	}
	return cloud.Request{Body: body, Amount: 7, Token: "tok-1", UserData: []byte("#cloud-config"), Tags: cloud.Origin{ActivityUID: "u-1", Piece: 2}.SendTags()}
}

func created(ids ...string) map[string]any {
	return map[string]any{"RequestId": "R-1", "InstanceIdSets": map[string]any{"InstanceIdSet": ids}}
}

func TestCreateSendsExactlyWhatWasWritten(t *testing.T) {
	w := newWorld(t, func(string, url.Values) (int, any) { return 200, created("i-1", "i-2") })
	ids, err := w.Create(t.Context(), request(t, w.Provider))
	if err != nil || len(ids) != 2 {
		t.Fatalf("%v, %v", ids, err)
	}
	got := map[string]string{}
	for k := range w.wire.sent[0] {
		got[k] = w.wire.sent[0].Get(k)
	}
	want := map[string]string{
		"Action": "RunInstances", "RegionId": "cn-test", "ZoneId": "cn-test-a", "VSwitchId": "vsw-1", "InstanceType": "ecs.g7.large",
		"ImageId": "img-1", "Amount": "7", "MinAmount": "1", "ClientToken": "tok-1", "UserData": "I2Nsb3VkLWNvbmZpZw==",
		"InstanceChargeType": "PostPaid", "SpotStrategy": "SpotWithPriceLimit", "SpotPriceLimit": "0.125", "SpotDuration": "1",
		"SystemDisk.Category": "cloud_essd", "SystemDisk.Size": "40", "SystemDisk.PerformanceLevel": "PL1",
		"DataDisk.1.Category": "cloud_essd", "DataDisk.1.Size": "100", "DataDisk.1.Encrypted": "true", "DataDisk.1.KMSKeyId": "k-1",
		"DataDisk.1.DeleteWithInstance": "true", "SecurityGroupIds.1": "sg-1", "SecurityGroupIds.2": "sg-2",
		"KeyPairName": "kp", "InstanceName": "web", "HostName": "${instance_id}",
		"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": "1",
		"Tag.1.Key": cloud.TagPool, "Tag.1.Value": "web", "Tag.2.Key": "team", "Tag.2.Value": "shop",
		"Tag.3.Key": cloud.TagActivity, "Tag.3.Value": "u-1", "Tag.4.Key": cloud.TagPiece, "Tag.4.Value": "2",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	h := w.wire.headers[0]
	if !strings.HasPrefix(h.Get("Authorization"), "ACS3-HMAC-SHA256 Credential=key-id,") || h.Get("X-Acs-Version") != "2014-05-26" {
		t.Errorf("signed as %v", h)
	}
	if !strings.Contains(h.Get("User-Agent"), "poolkeeper/1.2.3") {
		t.Errorf("user agent %q", h.Get("User-Agent"))
	}
	if w.wire.urls[0] != "/" {
		t.Errorf("parameters stand in the URL %s", w.wire.urls[0])
	}
}

// The bytes that an earlier version wrote are sent as they are.
func TestRequestsOfEarlierVersionsAreRead(t *testing.T) {
	w := newWorld(t, func(string, url.Values) (int, any) { return 200, created("i-1") })
	body := `{"form":1,"params":{"RegionId":"cn-test","VSwitchId":"vsw-1","InstanceType":"ecs.old","Strange":"yes","Tag.1.Key":"a","Tag.1.Value":"b"}}`
	if _, err := w.Create(t.Context(), cloud.Request{Body: []byte(body), Amount: 1, Token: "t", Tags: map[string]string{"c": "d"}}); err != nil {
		t.Fatal(err)
	}
	in := w.wire.sent[0]
	if in.Get("Strange") != "yes" || in.Get("Tag.2.Key") != "c" || in.Has("UserData") || in.Has("MinAmount") {
		t.Errorf("sent %v", in)
	}
	for _, body := range []string{`{"form":2,"params":{"a":"b"}}`, `{}`, `x`} {
		_, err := w.Create(t.Context(), cloud.Request{Body: []byte(body), Amount: 1, Token: "t"})
		if cloud.Classify(err) != cloud.NotSent || fault.CodeOf(err) != fault.RequestInvalid {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// One call of Create is one send, whatever comes back.
func TestCreateIsSentOnce(t *testing.T) {
	cases := map[string]struct {
		answer func(string, url.Values) (int, any)
		want   cloud.Outcome
	}{
		"throttled":       {func(string, url.Values) (int, any) { return 400, wireError("Throttling.User") }, cloud.Throttled},
		"broken":          {func(string, url.Values) (int, any) { return 500, wireError("InternalError") }, cloud.Unknown},
		"cut off":         {func(string, url.Values) (int, any) { return 0, nil }, cloud.Unknown},
		"redirected":      {func(string, url.Values) (int, any) { return 307, created("i-1") }, cloud.Unknown},
		"refused":         {func(string, url.Values) (int, any) { return 403, wireError("OperationDenied.NoStock") }, cloud.Refused},
		"empty success":   {func(string, url.Values) (int, any) { return 200, created() }, cloud.Unknown},
		"strange success": {func(string, url.Values) (int, any) { return 200, []int{1} }, cloud.Unknown},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.answer)
			ids, err := w.Create(t.Context(), request(t, w.Provider))
			if cloud.Classify(err) != c.want || ids != nil || fault.Of(err) == nil {
				t.Errorf("%v, %s: %v", ids, cloud.Classify(err), err)
			}
			if n := w.wire.calls()["RunInstances"]; n != 1 {
				t.Errorf("sent %d times", n)
			}
		})
	}
}

func TestNothingSentProvesNothingDone(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	gone := srv.URL
	srv.Close()
	w := newWorld(t, nil, func(o *alicloud.Options) { o.Endpoint = gone })
	_, err := w.Create(t.Context(), request(t, w.Provider))
	if cloud.Classify(err) != cloud.NotSent || fault.CodeOf(err) != fault.CloudUnreachable {
		t.Errorf("no server: %s: %v", cloud.Classify(err), err)
	}
	w = newWorld(t, func(string, url.Values) (int, any) { return 200, created("i-1") })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = w.Create(ctx, request(t, w.Provider))
	if cloud.Classify(err) != cloud.NotSent || fault.CodeOf(err) != fault.CloudNotSent || len(w.wire.calls()) != 0 {
		t.Errorf("ended before: %s: %v", cloud.Classify(err), err)
	}
}

func TestAnswerNeverComes(t *testing.T) {
	hold := make(chan struct{})
	w := newWorld(t, func(string, url.Values) (int, any) { <-hold; return 200, created("i-1") }, func(o *alicloud.Options) {
		o.MutationTimeout = 50 * time.Millisecond
	})
	defer close(hold)
	_, err := w.Create(t.Context(), request(t, w.Provider))
	if cloud.Classify(err) != cloud.Unknown || fault.CodeOf(err) != fault.CloudNoAnswer {
		t.Errorf("%s: %v", cloud.Classify(err), err)
	}
}

func TestReadsAreRepeated(t *testing.T) {
	n := 0
	w := newWorld(t, func(string, url.Values) (int, any) {
		if n++; n < 4 {
			return 400, wireError("Throttling.User")
		}
		return 200, map[string]any{"AccountId": "42"}
	})
	before := w.clock()
	id, err := w.ID(t.Context())
	if err != nil || id != "42" || n != 4 {
		t.Fatalf("%q after %d calls: %v", id, n, err)
	}
	if took := w.clock().Sub(before); took < 2*time.Second {
		t.Errorf("asked 4 times in %s of throttling; once a second is the most", took)
	}
	n = -100
	if _, err := w.ID(t.Context()); cloud.Classify(err) != cloud.Throttled || n != -95 {
		t.Errorf("gave up after %d calls: %v", n+100, err)
	}
	w = newWorld(t, func(string, url.Values) (int, any) { return 404, wireError("InvalidAccessKeyId.NotFound") })
	if _, err := w.ID(t.Context()); fault.CodeOf(err) != fault.AccessKeyNotFound || w.wire.calls()["GetCallerIdentity"] != 1 {
		t.Errorf("a refusal is not repeated: %v, %v", err, w.wire.calls())
	}
}

func TestCallsStayUnderTheirRate(t *testing.T) {
	w := newWorld(t, func(string, url.Values) (int, any) { return 200, map[string]any{"AccountId": "42"} }, func(o *alicloud.Options) {
		o.RateLimits = map[string]alicloud.RateLimit{"GetCallerIdentity": {PerSecond: 2, Burst: 3}}
	})
	before := w.clock()
	for range 13 {
		if _, err := w.ID(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if took := w.clock().Sub(before); took < 4900*time.Millisecond || took > 5100*time.Millisecond {
		t.Errorf("13 calls at 2 a second with 3 at once took %s, want 5s", took)
	}
}

func instances(from, to int) map[string]any {
	var list []map[string]any
	for i := from; i < to; i++ {
		list = append(list, map[string]any{
			"InstanceId": fmt.Sprintf("i-%d", i), "ZoneId": "cn-test-a", "InstanceType": "ecs.g7.large", "ImageId": "img-1", "Status": "Running",
			"VpcAttributes":      map[string]any{"VpcId": "vpc-1", "VSwitchId": "vsw-1", "PrivateIpAddress": map[string]any{"IpAddress": []string{"10.0.0.9"}}},
			"InstanceChargeType": "PostPaid", "SpotStrategy": "SpotWithPriceLimit", "SpotPriceLimit": 0.125,
			"CreationTime": "2026-07-01T12:00Z", "ExpiredTime": "2099-12-31T15:59Z", "DeletionProtection": true,
			"Tags":           map[string]any{"Tag": []any{map[string]string{"TagKey": "team", "TagValue": "shop"}}},
			"OperationLocks": map[string]any{"LockReason": []any{map[string]string{"LockReason": "Recycling"}}},
		})
	}
	return map[string]any{"Instances": map[string]any{"Instance": list}}
}

func TestSweepReadsEveryPage(t *testing.T) {
	const total = 1234
	w := newWorld(t, func(action string, in url.Values) (int, any) {
		from := 0
		if tok := in.Get("NextToken"); tok != "" {
			if _, err := fmt.Sscan(tok, &from); err != nil {
				return 400, wireError("InvalidParameter")
			}
		}
		page := instances(from, min(from+100, total))
		if from+100 < total {
			page["NextToken"] = fmt.Sprint(from + 100)
		}
		return 200, page
	})
	list, err := w.List(t.Context())
	if err != nil || len(list) != total {
		t.Fatalf("%d: %v", len(list), err)
	}
	in := w.wire.sent[0]
	if in.Get("VpcId") != "vpc-1" || in.Get("MaxResults") != "100" || in.Has("Tag.1.Key") || in.Has("PageNumber") {
		t.Errorf("asked with %v", in)
	}
	if n := len(w.wire.sent); n != 13 {
		t.Errorf("%d pages", n)
	}
	want := cloud.Instance{
		ID: "i-0", VPC: "vpc-1", VSwitch: "vsw-1", Zone: "cn-test-a", InstanceType: "ecs.g7.large", ImageID: "img-1", Status: cloud.Running,
		PrivateIP: "10.0.0.9", ChargeType: cloud.Spot, SpotPriceLimit: cloud.Price{Micros: 125_000}, Tags: map[string]string{"team": "shop"},
		CreationTime: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC), ReleaseProtected: true, OperationLocks: []string{"Recycling"},
	}
	if d := cmp.Diff(want, list[0]); d != "" {
		t.Error(d)
	}
}

func TestBrokenSweepIsNoSweep(t *testing.T) {
	w := newWorld(t, func(_ string, in url.Values) (int, any) {
		if in.Has("NextToken") {
			return 403, wireError("Forbidden.RAM")
		}
		page := instances(0, 100)
		page["NextToken"] = "2"
		return 200, page
	})
	if list, err := w.List(t.Context()); err == nil || list != nil || fault.CodeOf(err) != fault.ForbiddenRAM {
		t.Errorf("%d instances: %v", len(list), err)
	}
	w = newWorld(t, func(string, url.Values) (int, any) {
		page := instances(0, 100)
		page["NextToken"] = "same"
		return 200, page
	})
	if list, err := w.List(t.Context()); err == nil || list != nil {
		t.Errorf("pages in a circle: %d instances", len(list))
	}
}

// releasing answers DeleteInstances as a cloud that refuses a whole batch for
// one bad instance.
func releasing(there map[string]string) func(string, url.Values) (int, any) {
	return func(action string, in url.Values) (int, any) {
		if action == "DescribeInstances" {
			var ids []string
			if err := json.Unmarshal([]byte(in.Get("InstanceIds")), &ids); err != nil {
				return 400, wireError("InvalidParameter")
			}
			var list []any
			for _, id := range ids {
				if _, ok := there[id]; ok {
					list = append(list, map[string]any{"InstanceId": id})
				}
			}
			return 200, map[string]any{"Instances": map[string]any{"Instance": list}}
		}
		var ids []string
		for i := 1; in.Has(fmt.Sprintf("InstanceId.%d", i)); i++ {
			id := in.Get(fmt.Sprintf("InstanceId.%d", i))
			code, ok := there[id]
			if !ok {
				return 404, wireError("InvalidInstanceId.NotFound")
			}
			if code != "" {
				return 403, wireError(code)
			}
			ids = append(ids, id)
		}
		for _, id := range ids {
			delete(there, id)
		}
		return 200, map[string]any{"RequestId": "R-1"}
	}
}

func TestReleasePassesOverWhatIsToBlame(t *testing.T) {
	there := map[string]string{}
	var ids []string
	for i := range 100 {
		id := fmt.Sprintf("i-%d", i)
		ids = append(ids, id)
		there[id] = ""
	}
	w := newWorld(t, releasing(there))
	if err := w.Release(t.Context(), ids...); err != nil || len(there) != 0 {
		t.Fatalf("%d left: %v", len(there), err)
	}
	if n := w.wire.calls()["DeleteInstances"]; n != 2 || len(w.wire.calls()) != 1 {
		t.Errorf("calls for 100: %v", w.wire.calls())
	}
	for _, id := range ids[:30] {
		there[id] = ""
	}
	there["i-3"], there["i-17"] = "InvalidOperation.DeletionProtection", "IncorrectInstanceStatus.Initializing"
	errs := cloud.ReleaseErrors(w.Release(t.Context(), ids[:50]...))
	got := map[string]fault.Code{}
	for id, err := range errs {
		got[id] = fault.CodeOf(err)
	}
	want := map[string]fault.Code{"i-3": fault.DeletionProtection, "i-17": fault.InstanceBusy}
	if d := cmp.Diff(want, got); d != "" || len(there) != 2 {
		t.Errorf("%d left: %s", len(there), d)
	}
}

func TestReleaseNamesAllWhereNothingIsKnown(t *testing.T) {
	w := newWorld(t, func(string, url.Values) (int, any) { return 500, wireError("InternalError") })
	err := w.Release(t.Context(), "i-1", "i-2")
	if len(cloud.ReleaseErrors(err)) != 2 || cloud.Classify(err) != cloud.Unknown || w.wire.calls()["DeleteInstances"] != 1 {
		t.Errorf("%v: %v", w.wire.calls(), err)
	}
}

func TestErrorsHoldNoSecret(t *testing.T) {
	w := newWorld(t, func(string, url.Values) (int, any) { return 0, nil })
	r := request(t, w.Provider)
	r.UserData = []byte("join-credential")
	_, err := w.Create(t.Context(), r)
	if err == nil {
		t.Fatal("no error")
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		text := fmt.Sprintf("%v %+v", e, e)
		for _, s := range []string{secret, "join-credential", "am9pbi1jcmVkZW50aWFs"} {
			if strings.Contains(text, s) {
				t.Errorf("%q stands in %s", s, text)
			}
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]alicloud.Options{
		"no region":            {AccessKeyID: "a", AccessKeySecret: "b"},
		"http beyond loopback": {Region: "r", AccessKeyID: "a", AccessKeySecret: "b", Endpoint: "http://cloud.example.com"},
		"no URL":               {Region: "r", AccessKeyID: "a", AccessKeySecret: "b", Endpoint: "127.0.0.1:80"},
		"a path":               {Region: "r", AccessKeyID: "a", AccessKeySecret: "b", Endpoint: "https://127.0.0.1/x"},
	} {
		if _, err := alicloud.New(o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	for _, endpoint := range []string{"", "https://cloud.example.com", "http://127.0.0.1:8080", "http://localhost:1/", "http://[::1]:9"} {
		if _, err := alicloud.New(alicloud.Options{Region: "r", AccessKeyID: "a", AccessKeySecret: "b", Endpoint: endpoint}); err != nil {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
}
