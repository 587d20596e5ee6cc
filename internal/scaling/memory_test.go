package scaling

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/poolkeeper/poolkeeper/internal/fault"
	"github.com/poolkeeper/poolkeeper/internal/wait"
)

var sent = fault.Place{VSwitch: "vsw-a", Zone: "zone-a", InstanceType: "ecs.g7", ChargeType: "PayAsYouGo", Disk: "cloud_essd"}

func TestARefusalIsRememberedUnderWhatWasSent(t *testing.T) {
	for name, c := range map[string]struct {
		code fault.Code
		want Refusal
	}{
		"stock, of a type in a zone as it is billed": {fault.NoStock, Refusal{Until: now.Add(5 * time.Minute),
			Place: fault.Place{Zone: "zone-a", InstanceType: "ecs.g7", ChargeType: "PayAsYouGo"}}},
		"a quota, of the type in every zone": {fault.ElasticQuota, Refusal{Until: now.Add(10 * time.Minute), Place: fault.Place{InstanceType: "ecs.g7"}}},
		"a quota of the zone's vCPUs":        {fault.ElasticQuotaZone, Refusal{Until: now.Add(10 * time.Minute), Place: fault.Place{Zone: "zone-a"}}},
		"addresses, of the vSwitch":          {fault.PrivateIPAddress, Refusal{Until: now.Add(10 * time.Minute), Place: fault.Place{VSwitch: "vsw-a"}}},
		"disks, of the zone":                 {fault.DiskTypeNoStock, Refusal{Until: now.Add(5 * time.Minute), Place: fault.Place{Zone: "zone-a", Disk: "cloud_essd"}}},
		"the account, of everything":         {fault.Arrearage, Refusal{Until: now.Add(10 * time.Minute)}},
		"what only an edit mends":            {fault.NotMatchVTPM, Refusal{Until: now.Add(30 * time.Minute), Place: fault.Place{InstanceType: "ecs.g7"}}},
		"a code that nobody knows": {"Never.Heard.Of", Refusal{Until: now.Add(5 * time.Minute),
			Place: fault.Place{Zone: "zone-a", InstanceType: "ecs.g7", ChargeType: "PayAsYouGo"}}},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.Code, c.want.First, c.want.Last, c.want.Count, c.want.Generation = c.code, now, now, 1, 7
			got := Remember(nil, Met{Code: c.code, Place: sent, At: now, Generation: 7}, fault.DefaultWaits(), 0, 0)
			if diff := cmp.Diff([]Refusal{c.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheSameCauseThreeTimesInARowIsHeld(t *testing.T) {
	var list []Refusal
	at := now
	for n, want := range []time.Duration{5 * time.Minute, 5 * time.Minute, 30 * time.Minute, 30 * time.Minute} {
		before := append([]Refusal(nil), list...)
		next := Remember(list, Met{Code: fault.NoStock, Place: sent, At: at, Burnt: 10}, fault.DefaultWaits(), 3, 0)
		if diff := cmp.Diff(before, list); diff != "" {
			t.Fatalf("the memory that came in was changed:\n%s", diff)
		}
		if list = next; len(list) != 1 || list[0].Count != n+1 || list[0].Until.Sub(at) != want || !list[0].First.Equal(now) || list[0].Burnt != int64(10*(n+1)) {
			t.Fatalf("after %d: %+v", n+1, list)
		}
		at = list[0].Until
	}
	if list = Forget(list, fault.Place{Zone: "zone-b", InstanceType: "ecs.g7", ChargeType: "PayAsYouGo"}); len(list) != 1 {
		t.Error("a success elsewhere ended it")
	}
	if list = Forget(list, sent); len(list) != 0 {
		t.Error("a success there did not end it")
	}
}

func TestMachinesOfOneTryFailOnce(t *testing.T) {
	fails := func(list []Refusal, created, at time.Duration) []Refusal {
		return Remember(list, Met{Code: fault.FailedJoinCluster, Place: sent, At: now.Add(at), Tried: now.Add(created), Burnt: 5}, fault.DefaultWaits(), 3, 0)
	}
	list := fails(nil, 0, 15*time.Minute)
	list = fails(list, time.Second, 16*time.Minute)
	if len(list) != 1 || list[0].Count != 1 || list[0].Burnt != 10 || !list[0].All {
		t.Fatalf("two of one try: %+v", list)
	}
	list = fails(list, 16*time.Minute, 31*time.Minute)
	if list[0].Count != 2 {
		t.Fatalf("the next try: %+v", list)
	}
	if got := Forget(list, sent); len(got) != 1 {
		t.Error("a machine that was only created ended it")
	}
	if got := Joined(list, now.Add(31*time.Minute), time.Time{}); len(got) != 0 {
		t.Error("a machine that joined did not end it")
	}
	hook := Remember(nil, Met{Code: fault.HookAbandoned, Place: sent, At: now}, fault.DefaultWaits(), 3, 0)
	if got := Joined(hook, now.Add(time.Minute), time.Time{}); len(got) != 1 {
		t.Error("a machine that joined ended what a hook says")
	}
	if got := Joined(hook, now.Add(time.Minute), now.Add(time.Minute)); len(got) != 0 {
		t.Error("a machine that came into service did not end what a hook says")
	}
}

func TestAThrottleLastsToTheEndOfTheMinute(t *testing.T) {
	at := now.Add(42 * time.Second)
	got := Remember(nil, Met{Code: fault.Throttling, At: at}, fault.DefaultWaits(), 9, 0)
	if want := now.Add(time.Minute); !got[0].Until.Equal(want) {
		t.Errorf("until %v, want %v", got[0].Until, want)
	}
}

func TestStockThatComesBackEndsTheWait(t *testing.T) {
	pool := func(s Stock) []ResourcePool {
		return []ResourcePool{{VSwitch: "vsw-a", Zone: "zone-a", InstanceType: "ecs.g7", ChargeType: PayAsYouGo, Disk: "cloud_essd", Stock: s}}
	}
	list := Remember(nil, Met{Code: fault.NoStock, Place: sent, At: now}, fault.DefaultWaits(), 3, 0)
	list = Remember(list, Met{Code: fault.ElasticQuota, Place: sent, At: now}, fault.DefaultWaits(), 3, 0)
	for name, c := range map[string]struct {
		before, after Stock
		want          int
	}{
		"back in stock":               {WithoutStock, WithStock, 1},
		"in stock all the time":       {WithStock, WithStock, 2},
		"still none":                  {WithoutStock, ClosedWithoutStock, 2},
		"gone while it is remembered": {WithStock, WithoutStock, 2},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Restocked(list, pool(c.before), pool(c.after)); len(got) != c.want {
				t.Errorf("%d are left, want %d: %+v", len(got), c.want, got)
			}
		})
	}
	if got := Lasting(list, now.Add(8*time.Minute), 2*time.Minute); len(got) != 1 || got[0].Code != fault.ElasticQuota {
		t.Errorf("lasting: %+v", got)
	}
}

func TestUncertainPiecesAreSettledBySweeps(t *testing.T) {
	w := wait.Defaults()
	sure := now.Add(49 * time.Minute) // send window, signature life, twice the visibility
	type look struct {
		after time.Duration // since sure
		found int
		empty bool
	}
	for name, c := range map[string]struct {
		looks []look
		found int
		done  bool
		again time.Duration // since sure
	}{
		"nothing was looked at":                        {nil, 0, false, 0},
		"a sweep too early does not count":             {[]look{{-time.Second, 3, false}, {-time.Second, 3, false}, {-time.Second, 3, false}}, 0, false, 0},
		"all that it asked for is believed at once":    {[]look{{-20 * time.Minute, 5, false}}, 5, true, 0},
		"two that agree are not enough":                {[]look{{0, 3, false}, {30 * time.Second, 3, false}}, 0, false, time.Minute},
		"three that agree are":                         {[]look{{0, 3, false}, {30 * time.Second, 3, false}, {time.Minute, 3, false}}, 3, true, 0},
		"three too close together are not":             {[]look{{0, 3, false}, {time.Second, 3, false}, {2 * time.Second, 3, false}}, 0, false, 30 * time.Second},
		"one that shows more begins anew":              {[]look{{0, 2, false}, {30 * time.Second, 2, false}, {time.Minute, 3, false}}, 0, false, 90 * time.Second},
		"none of it in lists that show others is none": {[]look{{0, 0, false}, {30 * time.Second, 0, false}, {time.Minute, 0, false}}, 0, true, 0},
		"three empty lists are not believed":           {[]look{{0, 0, true}, {30 * time.Second, 0, true}, {time.Minute, 0, true}}, 0, false, 90 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			u := Unsettled{Amount: 5, FirstSend: now}
			newest := Shown{}
			for _, l := range c.looks {
				newest = Shown{Began: sure.Add(l.after), Found: l.found, Empty: l.empty}
				u = u.With(newest, w)
			}
			found, done, again := Settle(u, newest, w)
			if found != c.found || done != c.done {
				t.Errorf("%d, %v, want %d, %v", found, done, c.found, c.done)
			}
			if want := sure.Add(c.again); !done && !again.Equal(want) {
				t.Errorf("again at %v, want %v", again, want)
			}
		})
	}
}

func TestTenEmptySweepsInARowSettle(t *testing.T) {
	w := wait.Defaults()
	u := Unsettled{Amount: 5, FirstSend: now}
	at := u.Sure(w)
	for n := range 12 {
		s := Shown{Began: at, Empty: n != 1, Found: 0}
		u = u.With(s, w)
		if _, done, _ := Settle(u, s, w); done != (n == 11) {
			t.Fatalf("after %d: %v", n+1, done)
		}
		at = at.Add(w.Sweep)
	}
}

// Other versions and leaders make the same token of the same piece, or would
// create twice: this text never changes.
func TestTheTokenOfAPieceIsFrozen(t *testing.T) {
	for uid, want := range map[string]string{
		"6f1c1f0e-8f0a-4c1b-9a55-2f6f3f1f8f11": "pk-6f1c1f0e-8f0a-4c1b-9a55-2f6f3f1f8f11-17",
		strings.Repeat("u", 64):                "pk-1a2292f74f3d18b5a195069c146052a6-17",
	} {
		got := Token(uid, 17)
		if got != want || len(Token(uid, 2099)) > 64 {
			t.Errorf("token of %s = %s, want %s", uid, got, want)
		}
	}
}

func TestTheBillIsExact(t *testing.T) {
	a, b := int64(1_250_000), int64(900_000)
	t0 := now
	list := []Billed{{Price: a, From: t0}, {Price: a, From: t0}}
	for range 3 {
		list = append(list, Billed{Price: b, From: t0.Add(time.Minute)})
	}
	for name, c := range map[string]struct {
		at   time.Time
		want int64
	}{
		"before they were created":      {t0.Add(-time.Hour), 0},
		"one hour after the first two":  {t0.Add(time.Hour), 2*a + 3*b*59/60},
		"one hour after each and later": {t0.Add(61 * time.Minute), 2*(a+a/60) + 3*b},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Accrued(list, c.at); got-c.want > 5 || c.want-got > 5 {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
	}
	released := []Billed{{Price: a, From: t0, To: t0.Add(2 * time.Hour)}}
	if got := Accrued(released, t0.Add(100*time.Hour)); got != 2*a {
		t.Errorf("one that was released costs %d, want %d", got, 2*a)
	}
	if got := Accrued([]Billed{{Price: 1e15, From: t0}}, t0.Add(365*24*time.Hour)); got != 8760*int64(1e15) {
		t.Errorf("a dear year costs %d", got)
	}
}
