package region

import (
	"slices"
	"time"
)

// advance lets happen what is due for one instance, step by step.
func (r *Region) advance(i *Instance) {
	for r.instances[i.ID] == i {
		switch {
		case due(i.Vanishes, r.now):
			r.remove(i)
		case due(i.Due, r.now):
			r.step(i)
		case due(i.takenBack(), r.now):
			r.release(i)
		case due(r.expiry(i), r.now):
			r.expire(i)
		default:
			return
		}
	}
}

func due(at, now time.Time) bool { return !at.IsZero() && !at.After(now) }

// step is one change of state that was planned. The next is reckoned from when
// this one was due, so that a late look makes nothing later.
func (r *Region) step(i *Instance) {
	was := i.Due
	i.Due = time.Time{}
	switch i.Status {
	case statusPending:
		i.Status = statusStarting
		if i.Vanishes.IsZero() {
			i.Due = was.Add(r.wait(r.world.Times.Starting))
		}
	case statusStarting:
		if i.NeverStart { // its start failed
			i.Status = statusStopped
			break
		}
		i.Status, i.Started = statusRunning, r.now
		r.start(i)
	case statusStopping:
		switch {
		case i.Releasing:
			r.remove(i)
			return
		case i.Rebooting:
			i.Rebooting, i.Status = false, statusStarting
			i.Due = was.Add(r.wait(r.world.Times.Starting))
		default:
			i.Status = statusStopped
		}
	}
	r.changed(i)
}

// start powers the machine of an instance on.
func (r *Region) start(i *Instance) {
	l := i.launch
	m := Machine{ID: i.ID, Region: r.world.Region, Zone: l.Zone, InstanceType: l.Type.Name, ImageID: l.Image.ID,
		HostName: i.HostName, PrivateIP: i.IP, VCPU: l.Type.VCPU, MemoryMiB: l.Type.MemoryMiB, UserData: l.data,
		Boot: time.Duration(r.world.Times.Boot), StopAtStep: i.StopAtStep, MIGPartitions: i.MIG, MIGReset: i.MIGReset}
	r.effects = append(r.effects, Effect{Kind: Start, ID: i.ID, Machine: m})
}

// halt powers a machine off.
func (r *Region) halt(i *Instance) {
	i.Status, i.Due = statusStopping, r.now.Add(r.wait(r.world.Times.Stop))
	r.effects = append(r.effects, Effect{Kind: Stop, ID: i.ID})
	r.changed(i)
}

// release begins the end of an instance.
func (r *Region) release(i *Instance) {
	r.halt(i)
	i.Releasing, i.Rebooting = true, false
	i.Due = r.now.Add(r.wait(r.world.Times.Release))
}

// expire ends a subscription: first the machine stops, later it is released.
func (r *Region) expire(i *Instance) {
	if i.Status == statusStopped || i.Status == statusStopping {
		r.release(i)
		return
	}
	r.halt(i)
}

// remove forgets an instance and all that it held.
func (r *Region) remove(i *Instance) {
	delete(r.instances, i.ID)
	if at, ok := r.position(i.Seq); ok {
		r.order = slices.Delete(r.order, at, at+1)
	}
	r.add(i, -1)
	l := i.launch
	r.vSwitches[l.VSwitch].giveBack(i.IP)
	if l.refs--; l.refs == 0 {
		delete(r.launches, l.ID)
		r.touch(bucketLaunches, l.ID)
		r.dropUserData(l.UserData)
	}
	r.changed(i)
	r.effects = append(r.effects, Effect{Kind: Release, ID: i.ID})
}

func (r *Region) dropUserData(hash string) {
	b := r.userData[hash]
	if b == nil {
		return
	}
	if b.refs--; b.refs == 0 {
		delete(r.userData, hash)
		r.touch(bucketUserData, hash)
	}
}

// position finds where an instance stands, or would stand, in the order.
func (r *Region) position(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(r.order, seq, func(i *Instance, s uint64) int {
		switch {
		case i.Seq < s:
			return -1
		case i.Seq > s:
			return 1
		}
		return 0
	})
}
