package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	authentication "k8s.io/api/authentication/v1"
	certificates "k8s.io/api/certificates/v1"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/poolkeeper/poolkeeper/api/v1alpha1"
	"github.com/poolkeeper/poolkeeper/config"
)

const (
	floorPool = "floor"
	// approvers is how many approvals are under way at once.
	approvers = 32
	// documentSize and signatureSize are the lengths of a real identity.
	documentSize, signatureSize = 420, 1300
)

// concurrencies are how many bare machines join at once, in the sweep.
var concurrencies = []int{16, 48, 128, 0}

// bareFloor is the control plane alone, with an approver and bare machines.
type bareFloor struct {
	b     *bench
	plane *barePlane
	admin *kubernetes.Clientset
	nodes *nodeCount
	all   *joining
	round int
}

// floor measures the bare client: it makes a region, stops it, and runs its
// control plane alone.
func (b *bench) floor(ctx context.Context) error {
	r, err := b.startRegion(ctx, "floor")
	if err != nil {
		return err
	}
	args, err := planeArgs(ctx, r)
	if err := errors.Join(err, r.stop()); err != nil {
		return err
	}
	plane, err := startPlane(ctx, args, filepath.Join(b.dir, "floor-plane.log"))
	if err != nil {
		return err
	}
	defer plane.stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := &bareFloor{b: b, plane: plane}
	if err := f.prepare(ctx, r); err != nil {
		return err
	}
	return f.sweep(ctx)
}

func planeArgs(ctx context.Context, r *region) ([]string, error) {
	pids, err := r.processes(ctx)
	if err != nil {
		return nil, err
	}
	return commandLine(pids[planeProcess])
}

// prepare makes the join credential and starts the approver.
func (f *bareFloor) prepare(ctx context.Context, r *region) error {
	c, err := r.admin()
	if err != nil {
		return err
	}
	if f.admin, err = kubernetes.NewForConfig(protobufOf(c)); err != nil {
		return err
	}
	ca, err := os.ReadFile(filepath.Join(r.dir, "ca.crt"))
	if err != nil {
		return fmt.Errorf("read authority of the control plane: %w", err)
	}
	f.all = &joining{address: fmt.Sprintf("127.0.0.1:%d", r.port), pool: floorPool, authorities: x509.NewCertPool(),
		document: identityOf(documentSize), signature: identityOf(signatureSize)}
	f.all.authorities.AppendCertsFromPEM(ca)
	if f.all.token, err = f.credential(ctx); err != nil {
		return err
	}
	if f.nodes, err = followNodes(ctx, c, floorPool); err != nil {
		return err
	}
	return f.approve(ctx)
}

func protobufOf(c *rest.Config) *rest.Config {
	c = rest.CopyConfig(c)
	c.ContentType = asProtobuf
	return c
}

func (f *bareFloor) credential(ctx context.Context) (string, error) {
	accounts := f.admin.CoreV1().ServiceAccounts(config.JoinNamespace)
	sa := &core.ServiceAccount{ObjectMeta: meta.ObjectMeta{Name: config.JoinAccountPrefix + floorPool}}
	if _, err := accounts.Create(ctx, sa, meta.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return "", fmt.Errorf("make join account: %w", err)
	}
	seconds := int64(7200)
	t, err := accounts.CreateToken(ctx, sa.Name, &authentication.TokenRequest{Spec: authentication.TokenRequestSpec{ExpirationSeconds: &seconds}}, meta.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("mint join credential: %w", err)
	}
	return t.Status.Token, nil
}

// approve lets every request in, without a look at it. An informer survives
// that the API server ends a watch which was not read for a moment.
func (f *bareFloor) approve(ctx context.Context) error {
	requests := f.admin.CertificatesV1().CertificateSigningRequests()
	filed := make(chan *certificates.CertificateSigningRequest, 2*mostNodes)
	informer := informers.NewSharedInformerFactory(f.admin, 0).Certificates().V1().CertificateSigningRequests().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: func(o any) {
		if csr, ok := o.(*certificates.CertificateSigningRequest); ok && len(csr.Status.Conditions) == 0 {
			filed <- csr.DeepCopy()
		}
	}})
	if err != nil {
		return fmt.Errorf("watch certificate requests: %w", err)
	}
	go informer.RunWithContext(ctx)
	for range approvers {
		go func() {
			for csr := range filed {
				csr.Status.Conditions = []certificates.CertificateSigningRequestCondition{{Type: certificates.CertificateApproved, Status: core.ConditionTrue, Reason: "Bench"}}
				if _, err := requests.UpdateApproval(ctx, csr.Name, csr, meta.UpdateOptions{}); err != nil && ctx.Err() == nil {
					f.b.say("approve %s: %v", csr.Name, err)
				}
			}
		}()
	}
	return nil
}

// sweep takes the first size through every concurrency, and each further size
// through the two best.
func (f *bareFloor) sweep(ctx context.Context) error {
	sizes := f.b.sizes()
	tries := concurrencies
	if _, _, err := f.take(ctx, 50, 16); err != nil { // warms the control plane up
		return err
	}
	for _, n := range sizes {
		times, cpu := map[int]time.Duration{}, map[int]float64{}
		for _, at := range tries {
			d, ms, err := f.take(ctx, n, at)
			if err != nil {
				return err
			}
			times[at], cpu[at] = d, ms
		}
		tries = fastest(times, 2)
		f.b.rep.floor(n, times, bareCost{times[tries[0]].Seconds(), cpu[tries[0]]})
	}
	return nil
}

// fastest are the keys of the shortest times, the shortest first.
func fastest(times map[int]time.Duration, most int) []int {
	var keys []int
	for len(keys) < min(most, len(times)) {
		next, found := 0, false
		for _, k := range sortedKeys(times) {
			taken := false
			for _, have := range keys {
				taken = taken || have == k
			}
			if !taken && (!found || times[k] < times[next]) {
				next, found = k, true
			}
		}
		keys = append(keys, next)
	}
	return keys
}

// take has n machines join, at most so many at once (0: all), and removes them.
// It returns how long it took until the last was Ready, and the milliseconds of
// the control plane's CPU that each node took.
func (f *bareFloor) take(ctx context.Context, n, at int) (time.Duration, float64, error) {
	f.round++
	pid := f.plane.cmd.Process.Pid
	before, err := cpuTime(pid)
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := f.joinAll(ctx, n, at); err != nil {
		return 0, 0, err
	}
	end, err := f.nodes.await(ctx, n, func(_, ready int) { f.b.say("floor: %d of %d Ready", ready, n) })
	if err != nil {
		return 0, 0, err
	}
	after, err := cpuTime(pid)
	if err != nil {
		return 0, 0, err
	}
	took, cost := end.Sub(began), milliseconds(after-before)/float64(n)
	f.b.say("floor: %d nodes, %s at once: %.2f s, %.0f nodes/s, control plane %.1f ms of CPU per node",
		n, atOnce(at), took.Seconds(), float64(n)/took.Seconds(), cost)
	return took, cost, f.clear(ctx)
}

func atOnce(n int) string {
	if n == 0 {
		return "all"
	}
	return fmt.Sprint(n)
}

func (f *bareFloor) joinAll(ctx context.Context, n, at int) error {
	if at == 0 {
		at = n
	}
	slots := make(chan struct{}, at)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			m := &bareMachine{f.all, fmt.Sprintf("i-floor%03dx%05d", f.round, i)}
			errs[i] = m.join(ctx)
		})
	}
	wg.Wait()
	return firstOf(errs)
}

// firstOf is the first error and how many there are.
func firstOf(errs []error) error {
	var first error
	n := 0
	for _, err := range errs {
		if err != nil {
			first, n = cmp.Or(first, err), n+1
		}
	}
	if first == nil {
		return nil
	}
	return fmt.Errorf("%d of %d machines did not join, the first: %w", n, len(errs), first)
}

// clear removes all nodes and requests and lets the control plane come to rest.
func (f *bareFloor) clear(ctx context.Context) error {
	nodes := f.admin.CoreV1().Nodes().DeleteCollection(ctx, meta.DeleteOptions{}, meta.ListOptions{LabelSelector: v1alpha1.LabelPool + "=" + floorPool})
	requests := f.admin.CertificatesV1().CertificateSigningRequests().DeleteCollection(ctx, meta.DeleteOptions{}, meta.ListOptions{})
	if err := errors.Join(nodes, requests); err != nil {
		return fmt.Errorf("remove bare nodes: %w", err)
	}
	if _, err := f.nodes.await(ctx, 0, func(there, _ int) { f.b.say("floor: %d nodes left", there) }); err != nil {
		return err
	}
	return quiet(ctx, f.plane.cmd.Process.Pid)
}
