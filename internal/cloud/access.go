package cloud

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// services is where machines reach metadata, mirrors and clocks of their cloud.
var services = netip.MustParsePrefix("100.64.0.0/10")

// NodesReach tells whether machines in these security groups may reach an API
// server (https://HOST:PORT) and the services of the cloud: nil, or a fault
// that names group, address and port. An error means that it is not known.
func NodesReach(ctx context.Context, checks Checks, ids []string, server string) (*fault.Fault, error) {
	u, err := url.Parse(server)
	if err != nil {
		return nil, fmt.Errorf("read address of the API server %q: %w", server, err)
	}
	port := 443
	if n, err := strconv.Atoi(u.Port()); err == nil {
		port = n
	}
	groups, err := checks.SecurityGroups(ctx, ids...)
	if err != nil {
		return nil, err
	}
	var to []netip.Prefix
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		to = append(to, netip.PrefixFrom(a, a.BitLen()))
	} else if found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname()); err == nil {
		for _, a := range found {
			to = append(to, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
		}
	}
	return closed(groups, ids, to, port), nil
}

// closed is the fault of security groups that keep machines from one of these
// addresses or from the services of the cloud; nil where none does.
func closed(groups []SecurityGroup, ids []string, to []netip.Prefix, port int) *fault.Fault {
	var where, mend []string
	say := func(to netip.Prefix, port int) {
		if EgressAllowed(groups, to, port) {
			return
		}
		where = append(where, fmt.Sprintf("%s port %d", strings.TrimSuffix(to.String(), "/32"), port))
		mend = append(mend, fmt.Sprintf("poolkeeper local security-group allow %s --to %s", ids[0], to))
	}
	for _, p := range to {
		say(p, port)
	}
	say(services, 80)
	if len(where) == 0 {
		return nil
	}
	group, address := strings.Join(ids, ", "), strings.Join(where, " and ")
	f := fault.New(fault.NodeAccessDenied, fmt.Sprintf("security group %s does not let machines reach %s", group, address))
	f.Details = fault.Details{fault.DetailGroup: group, fault.DetailAddress: address, fault.DetailCommand: strings.Join(mend, "; ")}
	return f
}
