package cloudtest

import (
	"bytes"
	"slices"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

func (s *suite) bigSweep() {
	ids := s.made(1101)
	list := s.list()
	seen := map[string]bool{}
	for _, i := range list {
		seen[i.ID] = true
	}
	if len(list) != len(ids) || len(seen) != len(ids) {
		s.Fatalf("the sweep shows %d, %d of them different, want %d", len(list), len(seen), len(ids))
	}
	found, err := s.cloud.Find(s.ctx(), ids...)
	if err != nil || len(found) != len(ids) {
		s.Fatalf("found %d of %d: %v", len(found), len(ids), err)
	}
}

func (s *suite) find() {
	ids := s.made(3)
	found, err := s.cloud.Find(s.ctx(), ids[0], "i-none", ids[2], ids[0])
	if err != nil || len(found) != 2 {
		s.Fatalf("found %v: %v", found, err)
	}
	for _, i := range found {
		if i.ID != ids[0] && i.ID != ids[2] {
			s.Errorf("found %s", i.ID)
		}
	}
	if found, err = s.cloud.Find(s.ctx(), "i-none"); err != nil || len(found) != 0 {
		s.Fatalf("found %v: %v", found, err)
	}
	if found, err = s.cloud.Find(s.ctx()); err != nil || len(found) != 0 {
		s.Fatalf("a look at nothing found %v: %v", found, err)
	}
}

func (s *suite) release(ids ...string) {
	s.Helper()
	if err := s.cloud.Release(s.ctx(), ids...); err != nil {
		s.Fatalf("release: %v", err)
	}
}

func (s *suite) releaseAgain() {
	ids := s.made(123)
	s.release(ids[:120]...)
	s.count(3)
	s.release(ids[0])
	s.release(ids[119], ids[120], "i-none", ids[121])
	s.count(1)
	s.release()
	s.count(1)
}

func (s *suite) releaseProtected() {
	kept := s.c.MakeProtected(s.request(1))
	ids := s.made(4)
	found, err := s.cloud.Find(s.ctx(), kept)
	if err != nil || len(found) != 1 || !found[0].ReleaseProtected {
		s.Fatalf("a protected instance is shown as %+v: %v", found, err)
	}
	errs := cloud.ReleaseErrors(s.cloud.Release(s.ctx(), ids[0], ids[1], kept, ids[2], ids[3]))
	if len(errs) != 1 {
		s.Fatalf("not released: %v", errs)
	}
	s.refusedWith(errs[kept], cloud.Refused, fault.DeletionProtection)
	s.count(1)
}

func (s *suite) bootLog() {
	ids := s.made(1)
	if _, err := s.cloud.BootLog(s.ctx(), ids[0]); err != nil {
		s.Fatalf("boot log: %v", err)
	}
	if _, err := s.cloud.BootLog(s.ctx(), "i-none"); fault.CodeOf(err) != fault.InstanceNotFound {
		s.Fatalf("boot log of nothing: %v", err)
	}
}

func (s *suite) pools(vSwitches []string, charge ...cloud.ChargeType) []cloud.ResourcePool {
	s.Helper()
	pools, err := s.cloud.ResourcePools(s.ctx(), vSwitches, []string{s.c.Launch.InstanceType, "ecs.none.large"}, charge...)
	if err != nil {
		s.Fatalf("resource pools: %v", err)
	}
	if want := len(vSwitches) * 2 * max(len(charge), 1); len(pools) != want {
		s.Fatalf("%d resource pools, want %d: %+v", len(pools), want, pools)
	}
	return pools
}

func (s *suite) resourcePools() {
	l := s.c.Launch
	for _, p := range s.pools([]string{l.VSwitch, s.c.OtherVSwitch, "vsw-none"}, cloud.PayAsYouGo, cloud.Spot) {
		switch {
		case p.VSwitch == "vsw-none" || p.InstanceType != l.InstanceType:
			if p.Constraint == nil {
				s.Errorf("nothing rules out %+v", p)
			}
		case p.Constraint != nil || p.Stock != cloud.WithStock || p.VCPU < 1 || p.MemoryMiB < 1 ||
			!p.Price.Known() || p.Price.Micros < 1 || p.FreeAddresses < 1 || p.Zone == "":
			s.Errorf("told as %+v", p)
		case (p.VSwitch == l.VSwitch) != (p.Zone == l.Zone):
			s.Errorf("zone of %+v", p)
		}
	}
	free := s.pools([]string{l.VSwitch})[0].FreeAddresses
	s.made(4)
	s.c.SetStock(l.Zone, l.InstanceType, 0)
	for _, p := range s.pools([]string{l.VSwitch, s.c.OtherVSwitch}) {
		if p.InstanceType != l.InstanceType {
			continue
		}
		if p.VSwitch == l.VSwitch && (p.Stock != cloud.WithoutStock || p.FreeAddresses != free-4) {
			s.Errorf("sold out, with 4 of %d addresses taken, told as %+v", free, p)
		}
		if p.VSwitch != l.VSwitch && p.Stock != cloud.WithStock {
			s.Errorf("the other zone told as %+v", p)
		}
	}
}

func (s *suite) encodeStable() {
	if again := s.encode(s.c.Launch); !bytes.Equal(again, s.base) {
		s.Fatalf("%s\nthen %s", s.base, again)
	}
	l := s.c.Launch
	l.VSwitch = s.c.OtherVSwitch
	if bytes.Equal(s.encode(l), s.base) {
		s.Fatal("other settings are encoded to the same bytes")
	}
}

func (s *suite) tags() {
	tags, ok := s.cloud.(cloud.Tags)
	if !ok {
		s.Fatal("it is no cloud.Tags")
	}
	ids := s.made(2)
	if err := tags.Tag(s.ctx(), map[string]string{"team": "shop", cloud.TagPool: "other"}, ids...); err != nil {
		s.Fatalf("tag: %v", err)
	}
	for _, i := range s.list() {
		if i.Tags["team"] != "shop" || i.Tags[cloud.TagPool] != "other" {
			s.Errorf("tags %v", i.Tags)
		}
	}
	for range 2 {
		if err := tags.Untag(s.ctx(), cloud.TagKeys(), ids[0], "i-none"); err != nil {
			s.Fatalf("untag: %v", err)
		}
	}
	for _, i := range s.list() {
		if _, ours := cloud.OriginOf(i.Tags); ours != (i.ID == ids[1]) || i.Tags["team"] != "shop" {
			s.Errorf("%s has %v", i.ID, i.Tags)
		}
	}
}

func (s *suite) account() {
	a, ok := s.cloud.(cloud.Account)
	if !ok {
		s.Fatal("it is no cloud.Account")
	}
	if id, err := a.ID(s.ctx()); err != nil || id != s.c.AccountID {
		s.Fatalf("account %q: %v", id, err)
	}
	if err := a.Allow(s.ctx(), s.c.AccountID); err != nil {
		s.Fatalf("our own account: %v", err)
	}
	for role, want := range map[string]bool{fault.DrainRole: true, "NoSuchRole": false} {
		if has, err := a.HasRole(s.ctx(), role); err != nil || has != want {
			s.Errorf("role %s: %v, %v", role, has, err)
		}
	}
	s.refusedWith(a.Allow(s.ctx(), "4242"), cloud.NotSent, fault.AccountChanged)
	_, err := s.cloud.Create(cloud.WithAccount(s.ctx(), "4242"), s.request(1))
	s.refusedWith(err, cloud.NotSent, fault.AccountChanged)
	s.count(0)
	if _, err := s.cloud.Create(cloud.WithAccount(s.ctx(), s.c.AccountID), s.request(1)); err != nil {
		s.Fatalf("create with our own account: %v", err)
	}
	ids := s.made(1)
	s.refusedWith(s.cloud.Release(cloud.WithAccount(s.ctx(), "4242"), ids...), cloud.NotSent, fault.AccountChanged)
	s.count(2)
}

func (s *suite) billing() {
	b, ok := s.cloud.(cloud.Billing)
	if !ok {
		s.Fatal("it is no cloud.Billing")
	}
	id := s.made(1)[0]
	for range 2 {
		if err := b.Convert(s.ctx(), id, cloud.Subscription, cloud.Period{Count: 1, Unit: "Month"}); err != nil {
			s.Fatalf("convert: %v", err)
		}
	}
	ends := s.expires(id)
	for range 2 {
		if err := b.Renew(s.ctx(), id, cloud.Period{Count: 1, Unit: "Month"}, "renew-1"); err != nil {
			s.Fatalf("renew: %v", err)
		}
	}
	if later := s.expires(id).Sub(ends); later < 27*24*time.Hour || later > 32*24*time.Hour {
		s.Errorf("renewed by %s", later)
	}
	if err := s.cloud.Release(s.ctx(), id); len(cloud.ReleaseErrors(err)) != 1 {
		s.Errorf("a subscription was released: %v", err)
	}
	if err := b.Convert(s.ctx(), id, cloud.PayAsYouGo, cloud.Period{}); err != nil {
		s.Fatalf("convert back: %v", err)
	}
	s.release(id)
	s.count(0)
}

func (s *suite) expires(id string) time.Time {
	s.Helper()
	found, err := s.cloud.Find(s.ctx(), id)
	if err != nil || len(found) != 1 || found[0].ChargeType != cloud.Subscription || found[0].ExpiredTime.IsZero() {
		s.Fatalf("a subscription is shown as %+v: %v", found, err)
	}
	return found[0].ExpiredTime
}

func (s *suite) checks() {
	c, ok := s.cloud.(cloud.Checks)
	if !ok {
		s.Fatal("it is no cloud.Checks")
	}
	l := s.c.Launch
	ctx := s.ctx()
	v, err := c.VSwitches(ctx, l.VSwitch, "vsw-none")
	if err != nil || len(v) != 1 || v[0].Zone != l.Zone || v[0].CIDR == "" || v[0].FreeAddresses < 1 {
		s.Errorf("vSwitches %+v: %v", v, err)
	}
	if v, err = c.VSwitches(ctx); err != nil || len(v) < 2 {
		s.Errorf("all vSwitches %+v: %v", v, err)
	}
	i, err := c.Images(ctx, l.ImageID)
	if err != nil || len(i) != 1 || i[0].Architecture == "" {
		s.Errorf("images %+v: %v", i, err)
	}
	if i, err = c.Images(ctx, "m-none"); err != nil || len(i) != 0 {
		s.Errorf("images %+v: %v", i, err)
	}
	g, err := c.SecurityGroups(ctx, l.SecurityGroups[0], "sg-none")
	if err != nil || len(g) != 1 || g[0].ID != l.SecurityGroups[0] {
		s.Errorf("security groups %+v: %v", g, err)
	}
	if g, err = c.SecurityGroups(ctx); err != nil || len(g) < 1 {
		s.Errorf("all security groups %+v: %v", g, err)
	}
	s.checkTypes(c)
}

func (s *suite) checkTypes(c cloud.Checks) {
	l, ctx := s.c.Launch, s.ctx()
	t, err := c.InstanceTypes(ctx, l.InstanceType, "ecs.none.large")
	if err != nil || len(t) != 1 || t[0].VCPU < 1 || t[0].Architecture == "" {
		s.Errorf("instance types %+v: %v", t, err)
	}
	k, err := c.KeyPairs(ctx, "key-none")
	if err != nil || len(k) != 0 {
		s.Errorf("key pairs %v: %v", k, err)
	}
	f, err := c.Fits(ctx, l.ImageID, []cloud.Disk{l.SystemDisk}, l.InstanceType)
	if err != nil || len(f.Misfits) != 0 || f.Image.ID != l.ImageID || !slices.Contains(f.Types, l.InstanceType) {
		s.Errorf("does not fit: %+v: %v", f, err)
	}
}

func (s *suite) trials() {
	c, ok := s.cloud.(cloud.Trials)
	if !ok {
		s.Fatal("it is no cloud.Trials")
	}
	l := s.c.Launch
	for range 2 {
		if err := c.Try(s.ctx(), l); err != nil {
			s.Errorf("what could be created is refused: %v", err)
		}
	}
	bad := l
	bad.ImageID = "m-none"
	s.refusedWith(c.Try(s.ctx(), bad), cloud.Refused, fault.ImageNotFound)
	s.count(0)
	sold, err := c.Sold(s.ctx(), l.ChargeType, l.SystemDisk.Category, l.Zone)
	if err != nil || len(sold) != 1 || !slices.Contains(sold[l.Zone], l.InstanceType) {
		s.Errorf("sold in %s: %v: %v", l.Zone, sold, err)
	}
}
