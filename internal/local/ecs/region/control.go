package region

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/scenario"
)

// StockChange sets what a zone has left of an instance type or of a disk
// category.
type StockChange struct {
	Zone string `json:"zone"`
	Type string `json:"type,omitempty"`
	Disk string `json:"disk,omitempty"`
	// Count left; -1 for plenty.
	Count      int  `json:"count"`
	Closed     bool `json:"closed,omitempty"`
	Spot       bool `json:"spot,omitempty"`
	NotOffered bool `json:"notOffered,omitempty"`
}

// edit changes a copy of the scenario and takes it over if it is sound.
func (r *Region) edit(change func(*scenario.Scenario)) error {
	s := r.Scenario()
	change(&s)
	if err := s.Check(); err != nil {
		return err
	}
	r.now = r.o.Now()
	if err := r.apply(s); err != nil {
		return err
	}
	r.touch(bucketWorld, keyWorld)
	return nil
}

func amount(n int) string {
	if n < 0 || n >= plenty {
		return "plenty"
	}
	return fmt.Sprint(n)
}

// SetStock changes stock and says from what to what, in one zone or in "all".
func (r *Region) SetStock(c StockChange) (string, error) {
	zones := []string{c.Zone}
	if c.Zone == "all" {
		zones = r.world.Zones
	}
	var said []string
	for _, zone := range zones {
		c.Zone = zone
		text, err := r.setStock(c)
		if err != nil {
			return "", err
		}
		said = append(said, text)
	}
	return strings.Join(said, "\n"), nil
}

func (r *Region) setStock(c StockChange) (string, error) {
	if (c.Type == "") == (c.Disk == "") {
		return "", fmt.Errorf("set stock: name either an instance type or a disk category")
	}
	if c.Disk != "" {
		was := amount(r.disksLeft(c.Zone, c.Disk))
		err := r.edit(func(s *scenario.Scenario) {
			s.DiskStock = slices.DeleteFunc(s.DiskStock, func(e scenario.DiskStock) bool { return e.Zone == c.Zone && e.Category == c.Disk })
			s.DiskStock = append(s.DiskStock, scenario.DiskStock{Zone: c.Zone, Category: c.Disk, Count: c.Count, Closed: c.Closed})
		})
		return fmt.Sprintf("disk category %s in %s: %s left%s, was %s", c.Disk, c.Zone, amount(c.Count), closed(c.Closed), was), err
	}
	was := amount(r.left(c.Zone, c.Type, c.Spot))
	err := r.edit(func(s *scenario.Scenario) {
		s.Stock = slices.DeleteFunc(s.Stock, func(e scenario.Stock) bool { return e.Zone == c.Zone && e.Type == c.Type && e.Spot == c.Spot })
		s.Stock = append(s.Stock, scenario.Stock{Zone: c.Zone, Type: c.Type, Spot: c.Spot, Count: c.Count, Closed: c.Closed, NotOffered: c.NotOffered})
	})
	what := c.Type
	if c.Spot {
		what += " (spot)"
	}
	if c.NotOffered {
		return fmt.Sprintf("%s in %s: not offered any more, was %s left", what, c.Zone, was), err
	}
	return fmt.Sprintf("%s in %s: %s left%s, was %s", what, c.Zone, amount(c.Count), closed(c.Closed), was), err
}

func closed(is bool) string {
	if is {
		return ", not replenished"
	}
	return ""
}

// QuotaChange sets a quota; exactly one of Type, Zone and Account is set.
type QuotaChange struct {
	Type string `json:"type,omitempty"`
	Zone string `json:"zone,omitempty"`
	// Account is instances, disks or disk-gib.
	Account string `json:"account,omitempty"`
	// Count is the bound; -1 for none.
	Count int `json:"count"`
}

// SetQuota changes a quota.
func (r *Region) SetQuota(c QuotaChange) (string, error) {
	named := 0
	for _, v := range []string{c.Type, c.Zone, c.Account} {
		if v != "" {
			named++
		}
	}
	fields := map[string]func(*scenario.Quotas) *int{"instances": func(q *scenario.Quotas) *int { return &q.PayAsYouGoInstances },
		"disks": func(q *scenario.Quotas) *int { return &q.PayAsYouGoDisks }, "disk-gib": func(q *scenario.Quotas) *int { return &q.DiskGiB }}
	if named != 1 || (c.Account != "" && fields[c.Account] == nil) || (c.Account != "" && c.Count == 0) {
		return "", fmt.Errorf("set quota: name one of an instance type, a zone (vCPUs), or instances, disks, disk-gib of the account (not 0)")
	}
	err := r.edit(func(s *scenario.Scenario) {
		switch {
		case c.Type != "":
			s.Quotas.Types = with(s.Quotas.Types, c.Type, c.Count)
		case c.Zone != "":
			s.Quotas.VCPUs = with(s.Quotas.VCPUs, c.Zone, c.Count)
		default:
			*fields[c.Account](&s.Quotas) = max(0, c.Count)
		}
	})
	what := c.Type + c.Account
	if c.Zone != "" {
		what = "vCPUs in " + c.Zone
	}
	if c.Count < 0 {
		return fmt.Sprintf("quota of %s: none", what), err
	}
	return fmt.Sprintf("quota of %s: %d", what, c.Count), err
}

// with returns a map with one value set, or taken out where it is negative.
func with(m map[string]int, key string, v int) map[string]int {
	out := map[string]int{}
	for k, n := range m {
		out[k] = n
	}
	if out[key] = v; v < 0 {
		delete(out, key)
	}
	return out
}

// BalanceChange sets the account's money. An amount alone also ends arrears
// and a used-up credit.
type BalanceChange struct {
	Amount       *float64 `json:"amount,omitempty"`
	CreditUsedUp bool     `json:"creditUsedUp,omitempty"`
	Arrears      bool     `json:"arrears,omitempty"`
}

// SetBalance changes the account's money.
func (r *Region) SetBalance(c BalanceChange) (string, error) {
	if c.Amount == nil && !c.CreditUsedUp && !c.Arrears {
		return "", fmt.Errorf("set balance: name an amount, a used-up credit or arrears")
	}
	err := r.edit(func(s *scenario.Scenario) {
		if c.Amount != nil {
			s.Account.Balance = *c.Amount
		}
		s.Account.CreditUsedUp, s.Account.Arrears = c.CreditUsedUp, c.Arrears
	})
	a := r.world.Account
	text := fmt.Sprintf("balance: %s %.2f", a.Currency, a.Balance)
	switch {
	case a.Arrears:
		text += ", in arrears: nothing is created"
	case a.CreditUsedUp:
		text += ", credit used up: nothing is created"
	case a.Balance < a.MinBalance:
		text += fmt.Sprintf(", less than the %.2f needed: nothing is created", a.MinBalance)
	}
	return text, err
}

// Switch turns something on or off by its name.
type Switch struct {
	Name string `json:"name,omitempty"`
	On   bool   `json:"on"`
}

// SetAuthorized grants or revokes the authorization for an instance type.
func (r *Region) SetAuthorized(c Switch) (string, error) {
	if r.world.Type(c.Name) == nil {
		return "", fmt.Errorf("set authorization: there is no instance type %q", c.Name)
	}
	err := r.edit(func(s *scenario.Scenario) {
		s.InstanceTypes = slices.Clone(s.InstanceTypes)
		s.Type(c.Name).Unauthorized = !c.On
	})
	return fmt.Sprintf("%s: %s", c.Name, word(c.On, "authorized", "needs an authorization that the account lacks")), err
}

func word(on bool, yes, no string) string {
	if on {
		return yes
	}
	return no
}

// SetKMS switches a key, or without a name the service.
func (r *Region) SetKMS(c Switch) (string, error) {
	if c.Name == "" {
		err := r.edit(func(s *scenario.Scenario) { s.KMS.Inactive = !c.On })
		return "KMS: " + word(c.On, "activated", "not activated"), err
	}
	if r.world.Key(c.Name) == nil {
		return "", fmt.Errorf("set KMS key: there is no key %q", c.Name)
	}
	err := r.edit(func(s *scenario.Scenario) {
		s.KMS.Keys = slices.Clone(s.KMS.Keys)
		s.Key(c.Name).Disabled = !c.On
	})
	return fmt.Sprintf("KMS key %s: %s", c.Name, word(c.On, "enabled", "disabled")), err
}

// SetRole grants or revokes a RAM role.
func (r *Region) SetRole(c Switch) (string, error) {
	if c.Name == "" {
		return "", fmt.Errorf("set role: name it")
	}
	err := r.edit(func(s *scenario.Scenario) {
		s.Roles = slices.DeleteFunc(slices.Clone(s.Roles), func(v string) bool { return v == c.Name })
		if c.On {
			s.Roles = append(s.Roles, c.Name)
		}
	})
	return fmt.Sprintf("role %s: %s", c.Name, word(c.On, "granted", "revoked")), err
}

// SetDenied takes the permission for an action from the access key, or gives
// it back.
func (r *Region) SetDenied(c Switch) (string, error) {
	if actions[c.Name].do == nil && c.Name != PassRole {
		return "", fmt.Errorf("set permission: the action %q is not answered here", c.Name)
	}
	err := r.edit(func(s *scenario.Scenario) {
		s.Account.DeniedActions = slices.DeleteFunc(slices.Clone(s.Account.DeniedActions), func(v string) bool { return v == c.Name })
		if !c.On {
			s.Account.DeniedActions = append(s.Account.DeniedActions, c.Name)
		}
	})
	return fmt.Sprintf("permission for %s: %s", c.Name, word(c.On, "granted", "revoked")), err
}

// RuleChange allows or refuses outbound TCP traffic of a security group.
type RuleChange struct {
	Group string `json:"group"`
	Allow bool   `json:"allow"`
	// To is an address or a block of addresses.
	To string `json:"to"`
	// Port; 0 for every port.
	Port int `json:"port,omitempty"`
}

// SetRule puts a rule in front, or takes the one away that stands against it.
func (r *Region) SetRule(c RuleChange) (string, error) {
	if r.world.SecurityGroup(c.Group) == nil {
		return "", fmt.Errorf("set rule: there is no security group %q", c.Group)
	}
	port := "any"
	rule := scenario.Rule{Policy: word(c.Allow, "Accept", "Drop"), Priority: 1, Protocol: "TCP", Ports: "-1/-1", CIDR: c.To}
	if c.Port != 0 {
		port = strconv.Itoa(c.Port)
		rule.Ports = port + "/" + port
	}
	if err := rule.Check(); err != nil {
		return "", fmt.Errorf("set rule: %w", err)
	}
	err := r.edit(func(s *scenario.Scenario) {
		s.SecurityGroups = slices.Clone(s.SecurityGroups)
		g := s.SecurityGroup(c.Group)
		g.Egress = slices.DeleteFunc(slices.Clone(g.Egress), func(e scenario.Rule) bool {
			return e.Priority == 1 && e.CIDR == rule.CIDR && e.Ports == rule.Ports
		})
		if g.Egress = slices.Insert(g.Egress, 0, rule); c.Allow {
			g.Egress = withoutNeed(*g)
		}
	})
	return fmt.Sprintf("security group %s: outbound TCP to %s port %s: %s", c.Group, c.To, port,
		word(c.Allow, "allowed", "refused")), err
}

// withoutNeed leaves out the first rule where a later one already allows the
// same and nothing stands in between.
func withoutNeed(g scenario.SecurityGroup) []scenario.Rule {
	for _, e := range g.Egress[1:] {
		if e.Policy != "Accept" {
			return g.Egress
		}
		if e.CIDR == "0.0.0.0/0" && e.Ports == "-1/-1" {
			return g.Egress[1:]
		}
	}
	return g.Egress
}

// VSwitchChange sets how many addresses of a vSwitch are free.
type VSwitchChange struct {
	ID   string `json:"id"`
	Free int    `json:"free"`
}

// SetFree lets others hold so many addresses that so many are free.
func (r *Region) SetFree(c VSwitchChange) (string, error) {
	v := r.world.VSwitch(c.ID)
	if v == nil {
		return "", fmt.Errorf("set free addresses: there is no vSwitch %q", c.ID)
	}
	a := r.vSwitches[c.ID]
	most, was := a.size-len(a.used), r.freeAddresses(v)
	if c.Free < 0 || c.Free > most {
		return "", fmt.Errorf("set free addresses of %s: %d is not from 0 to %d", c.ID, c.Free, most)
	}
	err := r.edit(func(s *scenario.Scenario) {
		s.VSwitches = slices.Clone(s.VSwitches)
		s.VSwitch(c.ID).Taken = most - c.Free
	})
	return fmt.Sprintf("vSwitch %s: %s free, was %d", c.ID, some(c.Free, "address", "addresses"), was), err
}
