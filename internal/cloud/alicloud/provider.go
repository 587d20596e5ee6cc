// Package alicloud is the provider for Alibaba Cloud: it carries the calls of
// package cloud to the vendor's ECS, VPC and STS APIs over the core of the
// vendor's SDK, and is the only importer of that SDK.
//
// In come the values of package cloud, out come the same and errors whose wire
// codes were turned into codes of the failure catalogue here and nowhere else.
// The same code talks to the real cloud and to the local one. A mutation is
// sent at most once for each call; reads are repeated with backoff. It never
// decides what to create or release, keeps nothing but stock-free facts
// (instance types, prices) for a while, and writes no secret anywhere.
package alicloud

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	openapiutil "github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/aliyun/credentials-go/credentials"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
)

// RateLimit bounds the calls of one operation.
type RateLimit struct {
	// PerSecond is the rate. More than 0.
	PerSecond float64
	// Burst is how many calls may go at once. At least 1.
	Burst int
}

// Options set up a Provider.
type Options struct {
	// Region is the region id. Required.
	Region string
	// Endpoint replaces the vendor's endpoints for every product: a URL with
	// https, or with http where the host is a loopback address.
	Endpoint string
	// VPCs bound what List sweeps. None: the whole region.
	VPCs []string
	// AccessKeyID, AccessKeySecret and SecurityToken sign calls. Without them
	// the vendor's chain is used: environment (ALIBABA_CLOUD_*), OIDC,
	// profile, the role of this machine.
	AccessKeyID     string
	AccessKeySecret string
	SecurityToken   string
	// RateLimits replace the default limits of operations by name.
	RateLimits map[string]RateLimit
	// ReadTimeout bounds one read, MutationTimeout one mutation. Defaults 15 s
	// and 60 s.
	ReadTimeout     time.Duration
	MutationTimeout time.Duration
	// ReadTries is how often a read is sent at most. Default 5.
	ReadTries int
	// RetryFirst and RetryMax bound the waits between them. Defaults 500 ms
	// and 10 s.
	RetryFirst time.Duration
	RetryMax   time.Duration
	// FactsLife is how long prices and instance types are kept; market prices
	// a twelfth of it. Default 1 h.
	FactsLife time.Duration
	// ThrottleWindow is the window that throttling lasts to the end of.
	// Default 1 min.
	ThrottleWindow time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Sleep waits. Default: a timer that ends with ctx.
	Sleep func(ctx context.Context, d time.Duration) error
	// Random returns a number from 0 up to 1. Default: math/rand.
	Random func() float64
	// Transport carries HTTP. Default: one of its own.
	Transport http.RoundTripper
	// Version of poolkeeper, for the user agent.
	Version string
	// Observe is told of every send after it: operation, time taken, and the
	// fault's code or nothing. For metrics.
	Observe func(operation string, took time.Duration, code string)
	// Audit is told of every send of a mutation after it. Nil: nobody.
	Audit func(Mutation)
}

// Provider is Alibaba Cloud behind the interfaces of package cloud.
type Provider struct {
	opts    Options
	creds   credentials.Credential
	clients map[string]*openapi.Client
	gates   map[string]*gate
	mu      sync.Mutex // guards gates, facts and owners
	facts   facts
	// owners are the accounts that access keys belong to.
	owners map[string]string
}

var (
	_ cloud.Cloud   = (*Provider)(nil)
	_ cloud.Encoder = (*Provider)(nil)
	_ cloud.Tags    = (*Provider)(nil)
	_ cloud.Account = (*Provider)(nil)
	_ cloud.Billing = (*Provider)(nil)
	_ cloud.Checks  = (*Provider)(nil)
	_ cloud.Trials  = (*Provider)(nil)
)

// The products and the versions of their APIs.
var products = map[string]string{
	"ecs": "2014-05-26",
	"vpc": "2016-04-28",
	"sts": "2015-04-01",
	"ram": "2015-05-01",
}

// New returns a provider for one region. It makes no call.
func New(o Options) (*Provider, error) {
	if o.Region == "" {
		return nil, fmt.Errorf("set up alicloud: no region; set ALIBABA_CLOUD_REGION_ID")
	}
	o = o.filled()
	p := &Provider{opts: o, clients: map[string]*openapi.Client{}, gates: map[string]*gate{}, facts: newFacts(), owners: map[string]string{}}
	var err error
	if p.creds, err = o.credential(); err != nil {
		return nil, fmt.Errorf("load credentials of alicloud: %w", err)
	}
	for product := range products {
		scheme, host, err := o.endpoint(product)
		if err != nil {
			return nil, err
		}
		p.clients[product], err = openapi.NewClient(&openapiutil.Config{
			RegionId:   dara.String(o.Region),
			Endpoint:   dara.String(host),
			Protocol:   dara.String(scheme),
			UserAgent:  dara.String("poolkeeper/" + o.Version),
			HttpClient: &wireClient{client: &http.Client{Transport: o.Transport, CheckRedirect: noRedirect}},
		})
		if err != nil {
			return nil, fmt.Errorf("set up client of %s: %w", product, err)
		}
	}
	return p, nil
}

func (o Options) filled() Options {
	set := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	set(&o.ReadTimeout, 15*time.Second)
	set(&o.MutationTimeout, 60*time.Second)
	set(&o.RetryFirst, 500*time.Millisecond)
	set(&o.RetryMax, 10*time.Second)
	set(&o.FactsLife, time.Hour)
	set(&o.ThrottleWindow, time.Minute)
	if o.ReadTries < 1 {
		o.ReadTries = 5
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.Random == nil {
		o.Random = random
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	if o.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = 16
		o.Transport = t
	}
	return o
}

func (o Options) credential() (credentials.Credential, error) {
	if o.AccessKeyID == "" {
		return credentials.NewCredential(nil)
	}
	c := &credentials.Config{
		Type:            dara.String("access_key"),
		AccessKeyId:     dara.String(o.AccessKeyID),
		AccessKeySecret: dara.String(o.AccessKeySecret),
	}
	if o.SecurityToken != "" {
		c.Type = dara.String("sts")
		c.SecurityToken = dara.String(o.SecurityToken)
	}
	return credentials.NewCredential(c)
}

// endpoint returns scheme and host of a product.
func (o Options) endpoint(product string) (scheme, host string, err error) {
	if o.Endpoint == "" && product == "ram" {
		return "https", "ram.aliyuncs.com", nil // one for all regions
	}
	if o.Endpoint == "" {
		return "https", product + "." + o.Region + ".aliyuncs.com", nil
	}
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Host == "" || (u.Path != "" && u.Path != "/") {
		return "", "", fmt.Errorf("set up alicloud: endpoint %q is not a URL such as https://host:port", o.Endpoint)
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && loopback(u.Hostname()):
	default:
		return "", "", fmt.Errorf("set up alicloud: endpoint %q must be https; http is for loopback addresses only", o.Endpoint)
	}
	return u.Scheme, u.Host, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
