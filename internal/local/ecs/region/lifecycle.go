package region

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// named finds the instances of a call: InstanceId.N, or InstanceId of the
// calls about one. All are there or the call is refused.
func (r *Region) named(p *args) ([]*Instance, *Error) {
	ids := p.list("InstanceId")
	if one := p.Params["InstanceId"]; one != "" {
		ids = append(ids, one)
	}
	if len(ids) == 0 {
		return nil, missing("InstanceId")
	}
	if len(ids) > 100 {
		return nil, refuse(400, "InvalidParameter.InstanceId", "At most 100 InstanceIds can be specified.")
	}
	var out []*Instance
	for _, id := range ids {
		i, err := r.find(id)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, i) {
			out = append(out, i)
		}
	}
	return out, nil
}

// deleteInstances releases all of the instances or none.
func (r *Region) deleteInstances(p *args) (any, *Error) {
	force, terminate, dry := p.bool("Force"), p.bool("TerminateSubscription"), p.bool("DryRun")
	if p.err != nil {
		return nil, p.err
	}
	all, err := r.named(p)
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		if err := r.deletable(i, force, terminate); err != nil {
			return nil, err
		}
	}
	if dry {
		return nil, refuse(400, "DRYRUN.SUCCESS", "Request validation has been passed with DryRun flag set.")
	}
	for _, i := range all {
		if !i.Releasing {
			r.release(i)
			r.arm(i)
		}
	}
	return &plainAnswer{p.requestID}, nil
}

func (r *Region) deletable(i *Instance, force, terminate bool) *Error {
	switch {
	case i.Releasing:
		return nil
	case i.Status == statusPending || i.Status == statusStarting:
		return refuse(403, "IncorrectInstanceStatus.Initializing", "The specified instance %s is initializing.", i.ID)
	case i.Protected:
		return refuse(403, "InvalidOperation.DeletionProtection", "The operation is not allowed due to the deletion protection of instance %s.", i.ID)
	case i.Charge == prePaid && !(terminate && due(i.Expires, r.now)):
		return refuse(403, "ChargeTypeViolation", "The operation is not permitted due to charge type of the instance %s: its subscription has not expired.", i.ID)
	case i.Status != statusStopped && !force:
		return refuse(403, "IncorrectInstanceStatus", "The current status of the instance %s does not support this operation.", i.ID)
	}
	return nil
}

func (r *Region) startInstances(p *args) (any, *Error) {
	return r.power(p, statusStopped, func(i *Instance) *Error {
		if i.Charge == prePaid && due(i.Expires, r.now) {
			return refuse(403, "InstanceExpired", "The subscription of the instance %s has expired.", i.ID)
		}
		i.Status, i.Due = statusStarting, r.now.Add(r.wait(r.world.Times.Starting))
		i.NeverStart = false
		return nil
	})
}

func (r *Region) stopInstances(p *args) (any, *Error) {
	return r.power(p, statusRunning, func(i *Instance) *Error { r.halt(i); return nil })
}

// power changes the state of instances that are all in the right one.
func (r *Region) power(p *args, from string, change func(*Instance) *Error) (any, *Error) {
	all, err := r.named(p)
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		if i.Status != from || i.Releasing {
			return nil, refuse(403, "IncorrectInstanceStatus", "The current status of the resource %s does not support this operation.", i.ID)
		}
	}
	if p.bool("DryRun") {
		return nil, refuse(400, "DryRunOperation", "Request validation has been passed with DryRun flag set.")
	}
	a := &instanceResponses{RequestId: p.requestID}
	for _, i := range all {
		was := i.Status
		if err := change(i); err != nil {
			return nil, err
		}
		r.changed(i)
		r.arm(i)
		a.InstanceResponses.InstanceResponse = append(a.InstanceResponses.InstanceResponse,
			instanceResponse{InstanceId: i.ID, Code: "200", Message: "success", CurrentStatus: i.Status, PreviousStatus: was})
	}
	return a, nil
}

func (r *Region) rebootInstance(p *args) (any, *Error) {
	i, err := r.find(p.need("InstanceId"))
	if err != nil {
		return nil, err
	}
	if i.Status != statusRunning {
		return nil, refuse(403, "IncorrectInstanceStatus", "The current status of the resource does not support this operation.")
	}
	r.halt(i)
	i.Rebooting = true
	r.arm(i)
	return &plainAnswer{p.requestID}, nil
}

// modifyChargeType turns subscriptions into pay-as-you-go and back.
func (r *Region) modifyChargeType(p *args) (any, *Error) {
	var ids []string
	if json.Unmarshal([]byte(p.need("InstanceIds")), &ids) != nil || len(ids) == 0 || len(ids) > 20 {
		return nil, refuse(400, "InvalidInstanceIds.Malformed", "The specified InstanceIds is not a JSON array of 1 to 20 ids.")
	}
	to := p.oneOf("InstanceChargeType", prePaid, postPaid)
	n, unit := 1, "Month"
	if to == prePaid {
		n, unit = p.period()
	}
	if p.err != nil {
		return nil, p.err
	}
	var all []*Instance
	for _, id := range ids {
		i, err := r.find(id)
		switch {
		case err != nil:
			return nil, err
		case i.launch.spot():
			return nil, refuse(403, "InvalidInstanceChargeType.NotSupport", "The charge type of the spot instance %s cannot be changed.", id)
		case i.Charge == to && to == postPaid:
			return nil, refuse(403, "InvalidInstanceChargeType.NotFound", "The InstanceChargeType of %s is already %s.", id, to)
		case i.Releasing || i.Status == statusPending || i.Status == statusStarting:
			return nil, refuse(403, "IncorrectInstanceStatus", "The current status of the instance %s does not support this operation.", id)
		}
		all = append(all, i)
	}
	for _, i := range all {
		r.charge(i, to, n, unit)
	}
	return &orderAnswer{p.requestID, r.orderID()}, nil
}

func (r *Region) charge(i *Instance, to string, n int, unit string) {
	r.add(i, -1)
	i.Charge = to
	i.Expires = time.Time{}
	if to == prePaid {
		i.Expires, i.Protected = periodEnd(r.now, n, unit), false
	}
	r.add(i, 1)
	r.changed(i)
	r.arm(i)
}

// orderID makes the number of an order.
func (r *Region) orderID() string {
	return strconv.FormatInt(200_000_000_000_000+r.o.Random.Int64N(1e14), 10)
}

func (r *Region) renewInstance(p *args) (any, *Error) {
	i, err := r.find(p.need("InstanceId"))
	if err != nil {
		return nil, err
	}
	n, unit := p.period()
	if p.err != nil {
		return nil, p.err
	}
	if i.Charge != prePaid || i.Releasing {
		return nil, refuse(403, "ChargeTypeViolation", "The operation is not permitted due to charge type of the instance.")
	}
	from := i.Expires
	if from.Before(r.now) {
		from = r.now
	}
	i.Expires = periodEnd(from, n, unit)
	r.changed(i)
	r.arm(i)
	return &orderAnswer{p.requestID, r.orderID()}, nil
}

func (r *Region) modifyAttribute(p *args) (any, *Error) {
	i, err := r.find(p.need("InstanceId"))
	if err != nil {
		return nil, err
	}
	protect, set := i.Protected, p.Params["DeletionProtection"] != ""
	if set {
		protect = p.bool("DeletionProtection")
	}
	groups := p.list("SecurityGroupIds")
	for _, g := range groups {
		if r.world.SecurityGroup(g) == nil {
			return nil, refuse(404, "InvalidSecurityGroupId.NotFound", "The specified SecurityGroupId %s does not exist.", g)
		}
	}
	switch {
	case p.err != nil:
		return nil, p.err
	case set && protect && (i.Charge != postPaid || i.launch.spot()):
		return nil, refuse(403, "InvalidChargeType.ValueNotSupported", "The deletion protection is only supported by pay-as-you-go instances.")
	}
	r.add(i, -1)
	i.Protected = protect
	if len(groups) > 0 {
		i.Groups = groups
	}
	if v := p.Params["InstanceName"]; v != "" {
		i.Name = v
	}
	if v := p.Params["HostName"]; v != "" {
		i.HostName = v
	}
	r.add(i, 1)
	r.changed(i)
	return &plainAnswer{p.requestID}, nil
}
