package region

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/scenario"
)

// bench is a region with a clock of its own and a disk of its own.
type bench struct {
	*Region
	now    time.Time
	o      Options
	stored map[string]map[string][]byte
	calls  int
}

func newBench(t rapid.TB, change func(*scenario.Scenario)) *bench {
	s := scenario.Default()
	s.InstancesPerMinute = 0
	s.Throttle = nil
	if change != nil {
		change(&s)
	}
	b := &bench{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), stored: map[string]map[string][]byte{}}
	b.o = Options{Scenario: s, Account: "1234567890123456", MaxNodes: 20000, Now: func() time.Time { return b.now }, Random: rand.New(rand.NewPCG(1, 2))}
	b.open(t)
	return b
}

func (b *bench) open(t rapid.TB) {
	r, err := New(b.o, b.stored)
	if err != nil {
		t.Fatal(err)
	}
	b.Region = r
	b.settle(t)
}

// settle stores what changed.
func (b *bench) settle(t rapid.TB) []Effect {
	records, err := b.Take()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		m := b.stored[r.Bucket]
		if m == nil {
			m = map[string][]byte{}
			b.stored[r.Bucket] = m
		}
		if m[r.Key] = slices.Clone(r.Value); r.Value == nil {
			delete(m, r.Key)
		}
	}
	return b.Effects()
}

func (b *bench) call(t rapid.TB, action string, p Params) Answer {
	b.calls++
	a := b.Do(Call{Action: action, Version: actions[action].version, Params: p, RequestID: fmt.Sprint("R", b.calls)}, Met{})
	b.Finish(a.Token)
	b.settle(t)
	return a
}

func (b *bench) pass(t rapid.TB, d time.Duration) []Effect {
	b.now = b.now.Add(d)
	b.Tick()
	return b.settle(t)
}

func goodLaunch(n int) Params {
	return Params{"Amount": fmt.Sprint(n), "InstanceType": "ecs.g7.large", "ImageId": "aliyun_3_x64_20G_local.vhd", "VSwitchId": "vsw-a",
		"SecurityGroupIds.1": "sg-local", "Tag.1.Key": "pool", "Tag.1.Value": "web",
		"UserData": base64.StdEncoding.EncodeToString(make([]byte, 20<<10))}
}

func ids(t rapid.TB, a Answer) []string {
	if a.Err != nil {
		t.Fatal(a.Err)
	}
	return a.Body.(*runInstancesAnswer).InstanceIdSets.InstanceIdSet
}

// Instances start step by step, as the clock goes.
func TestStates(t *testing.T) {
	b := newBench(t, nil)
	id := ids(t, b.call(t, "RunInstances", goodLaunch(1)))[0]
	for _, want := range []struct {
		after   time.Duration
		status  string
		effects int
	}{{0, "Pending", 0}, {199 * time.Millisecond, "Pending", 0}, {time.Millisecond, "Starting", 0}, {300 * time.Millisecond, "Running", 1}, {time.Hour, "Running", 0}} {
		if n := len(b.pass(t, want.after)); b.instances[id].Status != want.status || n != want.effects {
			t.Errorf("after %s more: %s, %d effects", want.after, b.instances[id].Status, n)
		}
	}
	b.call(t, "DeleteInstances", Params{"InstanceId.1": id, "Force": "true"})
	if e := b.pass(t, 500*time.Millisecond); b.Has(id) || len(e) != 1 || e[0].Kind != Release {
		t.Errorf("effects %+v", e)
	}
	if len(b.stored[bucketInstances])+len(b.stored[bucketLaunches])+len(b.stored[bucketUserData]) != 0 {
		t.Errorf("left over: %v", b.stored)
	}
}

// A late look lets all that was due happen at once.
func TestLateTick(t *testing.T) {
	b := newBench(t, nil)
	id := ids(t, b.call(t, "RunInstances", goodLaunch(1)))[0]
	if e := b.pass(t, time.Hour); b.instances[id].Status != "Running" || len(e) != 1 {
		t.Errorf("%s, %+v", b.instances[id].Status, e)
	}
}

// Client tokens are kept for two hours, divided by the factor.
func TestTokenLife(t *testing.T) {
	b := newBench(t, nil)
	p := goodLaunch(1)
	p["ClientToken"] = "t"
	first := ids(t, b.call(t, "RunInstances", p))
	b.pass(t, 2*time.Hour-time.Second)
	if again := ids(t, b.call(t, "RunInstances", p)); again[0] != first[0] {
		t.Error("forgotten too early")
	}
	b.pass(t, 2*time.Second)
	if again := ids(t, b.call(t, "RunInstances", p)); again[0] == first[0] {
		t.Error("not forgotten")
	}
	b.o.TimeFactor = 3600
	b.open(t)
	p["ClientToken"] = "u"
	first = ids(t, b.call(t, "RunInstances", p))
	b.pass(t, 3*time.Second)
	if again := ids(t, b.call(t, "RunInstances", p)); again[0] == first[0] {
		t.Error("not divided by the factor")
	}
}

// Throttling lasts to the end of the minute.
func TestThrottledMinute(t *testing.T) {
	b := newBench(t, func(s *scenario.Scenario) { s.Throttle = map[string]int{"DescribeVpcs": 2} })
	b.now = b.now.Add(50 * time.Second)
	for k, want := range []bool{false, false, true, true} {
		if a := b.call(t, "DescribeVpcs", Params{}); (a.Err != nil) != want {
			t.Errorf("call %d: %v", k, a.Err)
		}
	}
	b.pass(t, 9*time.Second)
	if a := b.call(t, "DescribeVpcs", Params{}); a.Err == nil {
		t.Error("let through in the same minute")
	}
	b.pass(t, time.Second)
	if a := b.call(t, "DescribeVpcs", Params{}); a.Err != nil {
		t.Error("still throttled in the next minute")
	}
}

// What is stored is what there is: whatever is done, a region that is opened
// from its records counts, shows and offers the same.
func TestRecordsAreEnough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBench(t, func(s *scenario.Scenario) {
			s.Stock = []scenario.Stock{{Zone: "cn-local-a", Type: "ecs.g7.large", Count: 40}}
			s.Quotas.Types = map[string]int{"ecs.g7.large": 60}
		})
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			b.random(t)
		}
		before := b.state()
		b.open(t)
		if d := cmp.Diff(before, b.state(), cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
	})
}

// state is what can be seen of a region.
func (b *bench) state() map[string]any {
	left := map[string]int{}
	for k, n := range b.count {
		if n != 0 {
			left[k] = n
		}
	}
	var list []string
	for _, i := range b.order {
		v, _ := json.Marshal(b.show(i))
		list = append(list, string(v))
	}
	free := map[string]int{}
	for _, v := range b.world.VSwitches {
		free[v.ID] = b.freeAddresses(&v)
	}
	return map[string]any{"count": left, "instances": list, "free": free, "seq": b.seq, "scenario": b.Scenario(), "faults": b.Faults(),
		"userData": len(b.userData), "launches": len(b.launches), "tokens": len(b.tokens)}
}

// random does one thing that can happen to a region.
func (b *bench) random(t *rapid.T) {
	id := "i-none"
	if len(b.order) > 0 {
		id = b.order[rapid.IntRange(0, len(b.order)-1).Draw(t, "which")].ID
	}
	switch rapid.IntRange(0, 7).Draw(t, "what") {
	case 0, 1:
		p := goodLaunch(rapid.IntRange(1, 20).Draw(t, "amount"))
		p["MinAmount"] = "1"
		p["ClientToken"] = fmt.Sprint("t", rapid.IntRange(0, 3).Draw(t, "token"))
		p["InstanceChargeType"] = rapid.SampledFrom([]string{postPaid, prePaid}).Draw(t, "charge")
		p["Period"] = "1"
		b.call(t, "RunInstances", p)
	case 2:
		b.pass(t, time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms"))*time.Millisecond)
	case 3:
		b.call(t, "DeleteInstances", Params{"InstanceId.1": id, "Force": "true"})
	case 4:
		b.call(t, "TagResources", Params{"ResourceType": "instance", "ResourceId.1": id, "Tag.1.Key": "k", "Tag.1.Value": "v"})
	case 5:
		_, _ = b.SetStock(StockChange{Zone: "cn-local-a", Type: "ecs.g7.large", Count: rapid.IntRange(-1, 30).Draw(t, "stock")})
		b.settle(t)
	case 6:
		_, _ = b.Control(id, rapid.SampledFrom(Verbs()).Draw(t, "verb"))
		b.settle(t)
	case 7:
		_, _ = b.AddFault(Fault{Machine: rapid.SampledFrom([]string{"vanish", "never-start"}).Draw(t, "fault"), Times: 2})
		b.settle(t)
	}
}

// Never more than stock, quota, addresses and the bound on nodes allow, and
// no address twice.
func TestNeverTooMany(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBench(t, func(s *scenario.Scenario) {
			s.Stock = []scenario.Stock{{Zone: "cn-local-a", Type: "ecs.g7.large", Count: rapid.IntRange(0, 60).Draw(t, "stock")}}
			s.Quotas.Types = map[string]int{"ecs.g7.large": rapid.IntRange(0, 60).Draw(t, "quota")}
			s.VSwitches[0].CIDR = "10.0.0.0/26"
		})
		b.Region.o.MaxNodes = rapid.IntRange(1, 60).Draw(t, "nodes")
		most := min(b.world.Stock[0].Count, b.world.Quotas.Types["ecs.g7.large"], 60, b.Region.o.MaxNodes)
		for range rapid.IntRange(1, 15).Draw(t, "steps") {
			p := goodLaunch(rapid.IntRange(1, 30).Draw(t, "amount"))
			p["MinAmount"] = "1"
			b.call(t, "RunInstances", p)
			if len(b.order) > most {
				t.Fatalf("%d instances, at most %d", len(b.order), most)
			}
			seen := map[string]bool{}
			for _, i := range b.order {
				if seen[i.IP] {
					t.Fatalf("%s twice", i.IP)
				}
				seen[i.IP] = true
			}
			b.pass(t, time.Second)
			if len(b.order) > 0 && rapid.Bool().Draw(t, "release") {
				b.call(t, "DeleteInstances", Params{"InstanceId.1": b.order[0].ID, "Force": "true"})
				b.pass(t, time.Second)
			}
		}
	})
}

func BenchmarkRunInstances100(b *testing.B) {
	w := newBench(b, nil)
	w.o.MaxNodes = 1 << 30
	for b.Loop() {
		w.Region.o.MaxNodes = 1 << 30
		if a := w.call(b, "RunInstances", goodLaunch(100)); a.Err != nil {
			b.StopTimer()
			for _, i := range slices.Clone(w.order) {
				w.remove(i)
			}
			w.settle(b)
			b.StartTimer()
		}
	}
}

func BenchmarkDescribePage100Of10000(b *testing.B) {
	w := newBench(b, func(s *scenario.Scenario) { s.VSwitches[0].CIDR = "10.0.0.0/16" })
	for range 100 {
		ids(b, w.call(b, "RunInstances", goodLaunch(100)))
	}
	w.pass(b, time.Minute)
	for b.Loop() {
		a := w.call(b, "DescribeInstances", Params{"VpcId": "vpc-local", "MaxResults": "100", "NextToken": pageToken(5000)})
		if _, err := json.Marshal(a.Body); err != nil {
			b.Fatal(err)
		}
	}
}

// A spot instance goes at the end of its notice, and nothing hangs on it.
func TestASpotInstanceGoesAtTheEndOfItsNotice(t *testing.T) {
	b := newBench(t, nil)
	if _, err := b.MakeInstances(Make{Spot: true}, "r-1"); err != nil {
		t.Fatal(err)
	}
	id := b.List()[0].ID
	b.now = b.now.Add(time.Minute)
	b.Tick()
	if _, err := b.Control(id, "reclaim"); err != nil {
		t.Fatal(err)
	}
	ticked := make(chan bool)
	go func() {
		for _, after := range []time.Duration{4 * time.Minute, time.Minute, time.Minute} {
			b.now = b.now.Add(after)
			b.Tick()
			ticked <- b.Has(id)
		}
	}()
	for n, want := range []bool{true, true, false} {
		select {
		case there := <-ticked:
			if there != want {
				t.Errorf("look %d: it is there: %v", n+1, there)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("look %d does not end", n+1)
		}
	}
}
