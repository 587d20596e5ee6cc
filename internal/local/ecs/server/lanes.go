package server

import (
	"hash/fnv"
	"sync"

	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
	"github.com/poolkeeper/poolkeeper/internal/local/machine"
)

// lanes carry effects out to machines: those of one machine in order, those
// of others beside them.
type lanes struct {
	carry func(region.Effect)
	lane  [16]lane
	done  sync.WaitGroup
	began sync.Once
}

type lane struct {
	mu    sync.Mutex
	more  *sync.Cond
	queue []region.Effect
	shut  bool
}

func newLanes(carry func(region.Effect)) *lanes {
	l := &lanes{carry: carry}
	for k := range l.lane {
		l.lane[k].more = sync.NewCond(&l.lane[k].mu)
	}
	return l
}

func (l *lanes) run() {
	l.began.Do(func() {
		for k := range l.lane {
			l.done.Go(func() { l.lane[k].work(l.carry) })
		}
	})
}

// add queues effects. It does not wait.
func (l *lanes) add(effects []region.Effect) {
	for _, e := range effects {
		h := fnv.New32a()
		h.Write([]byte(e.ID))
		q := &l.lane[h.Sum32()%uint32(len(l.lane))]
		q.mu.Lock()
		q.queue = append(q.queue, e)
		q.mu.Unlock()
		q.more.Signal()
	}
}

// stop drops what is queued: the next start makes it again from the records.
func (l *lanes) stop() {
	for k := range l.lane {
		q := &l.lane[k]
		q.mu.Lock()
		q.shut, q.queue = true, nil
		q.mu.Unlock()
		q.more.Signal()
	}
	l.done.Wait()
}

func (q *lane) work(carry func(region.Effect)) {
	for {
		q.mu.Lock()
		for len(q.queue) == 0 && !q.shut {
			q.more.Wait()
		}
		if q.shut {
			q.mu.Unlock()
			return
		}
		e := q.queue[0]
		q.queue = q.queue[1:]
		q.mu.Unlock()
		carry(e)
	}
}

// happen carries one effect out.
func (s *Server) happen(e region.Effect) {
	var err error
	switch e.Kind {
	case region.Start:
		err = s.host.Start(spec(e.Machine))
	case region.Stop:
		err = s.host.Stop(e.ID)
	case region.Release:
		err = s.host.Release(e.ID)
	}
	if err != nil && e.Kind == region.Start {
		s.o.Log.Error("did not start machine", "instance", e.ID, "error", err)
	}
}

func spec(m region.Machine) machine.Spec {
	return machine.Spec{ID: m.ID, Region: m.Region, Zone: m.Zone, InstanceType: m.InstanceType, ImageID: m.ImageID,
		HostName: m.HostName, PrivateIP: m.PrivateIP, VCPU: m.VCPU, MemoryMiB: m.MemoryMiB, UserData: m.UserData, BootDelay: m.Boot,
		Faults: machine.Faults{StopAtStep: m.StopAtStep, MIGPartitions: m.MIGPartitions, MIGReset: m.MIGReset}}
}
