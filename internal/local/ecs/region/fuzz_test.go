package region

import (
	"net/url"
	"strconv"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/scenario"
)

// Whatever parameters a signed call has, it is answered or refused as the
// vendor does, what is stored is what is known, and the cloud holds no more
// than it was asked for.
func FuzzDo(f *testing.F) {
	for n, action := range Actions() {
		f.Add(uint8(n), "Amount=2&RegionId=cn-local&InstanceType=ecs.g7.large&InstanceId.1=i-1&MaxResults=1&ResourceId.1=i-1&Tag.1.Key="+action)
	}
	f.Add(uint8(0), "Amount=-1")
	for n, action := range Actions() {
		if action == "RunInstances" || action == "DescribeInstances" {
			f.Add(uint8(n), encode(goodLaunch(3)))
			f.Add(uint8(n), `InstanceIds=["i-1"]&NextToken=MQ==&ClientToken=`+url.QueryEscape("\x00 "))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, query string) {
		b := newBench(t, func(s *scenario.Scenario) { s.InstancesPerMinute = 0 })
		have := ids(t, b.call(t, "RunInstances", goodLaunch(2)))
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		p := Params{}
		for k, v := range values {
			p[k] = v[0]
		}
		action := Actions()[int(which)%len(Actions())]
		a := b.call(t, action, p)
		switch {
		case a.Err == nil && a.Body == nil:
			t.Fatalf("%s is neither answered nor refused", action)
		case a.Err != nil && (a.Err.Status < 400 || a.Err.Status > 599 || a.Err.Code == "" || a.Body != nil):
			t.Fatalf("%s is refused as %+v", action, a)
		}
		asked, _ := strconv.Atoi(p["Amount"])
		if grown := b.Len() - len(have); action != "RunInstances" && grown > 0 || grown > max(asked, 1) {
			t.Fatalf("%s of %d made %d instances", action, asked, grown)
		}
		known := b.Len()
		b.open(t)
		if b.Len() != known {
			t.Fatalf("%s: %d instances are stored, %d known", action, b.Len(), known)
		}
	})
}

func encode(p Params) string {
	v := url.Values{}
	for k, s := range p {
		v.Set(k, s)
	}
	return v.Encode()
}
