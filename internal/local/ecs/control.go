package ecs

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"strings"
)

// newControl answers /_local/: what a person changes about the region while it
// runs. It wants the control token, but for the health check.
func newControl(r *Region, token string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_local/instances", func(w http.ResponseWriter, _ *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		list := make([]object, 0, len(r.order))
		for _, i := range r.order {
			list = append(list, object{"id": i.ID, "zone": i.Zone, "type": i.Type, "status": r.status(i, r.Now()), "ip": i.IP, "tags": i.Tags})
		}
		reply(w, object{"items": list})
	})
	change := func(path string, do func(in controlRequest) *wireError) {
		mux.HandleFunc("POST /_local/"+path, func(w http.ResponseWriter, q *http.Request) {
			var in controlRequest
			d := json.NewDecoder(http.MaxBytesReader(w, q.Body, maxBody))
			d.DisallowUnknownFields()
			if err := d.Decode(&in); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			if e := do(in); e != nil {
				http.Error(w, e.Message, e.Status)
				return
			}
			reply(w, object{"done": true})
		})
	}
	change("stock", r.setStock)
	change("balance", r.setBalance)
	change("security-group", r.setEgress)
	change("instance", r.controlInstance)
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/_local/healthz" {
			_, _ = w.Write([]byte("ok"))
			return
		}
		have := strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer ")
		if subtle.ConstantTimeCompare([]byte(have), []byte(token)) != 1 {
			http.Error(w, "the control token is wrong", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, q)
	})
}

// controlRequest is one change. Which fields count depends on the path.
type controlRequest struct {
	Zone    string     `json:"zone,omitempty"`
	Type    string     `json:"type,omitempty"`
	Stock   *int       `json:"stock,omitempty"` // absent: plenty
	Balance *float64   `json:"balance,omitempty"`
	Group   string     `json:"group,omitempty"`
	Rule    EgressRule `json:"rule,omitempty"`
	ID      string     `json:"id,omitempty"`
	Do      string     `json:"do,omitempty"` // start, stop, release, take-out
}

func (r *Region) setStock(in controlRequest) *wireError {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Scenario.instanceType(in.Type) == nil {
		return refuse(404, "", "there is no instance type %q here", in.Type)
	}
	for _, z := range r.Scenario.Zones {
		if z != in.Zone {
			continue
		}
		if r.Scenario.Stock == nil {
			r.Scenario.Stock = map[string]int{}
		}
		delete(r.Scenario.Stock, z+"/"+in.Type)
		if in.Stock != nil {
			r.Scenario.Stock[z+"/"+in.Type] = *in.Stock
		}
		return nil
	}
	return refuse(404, "", "there is no zone %q here: %s", in.Zone, strings.Join(r.Scenario.Zones, ", "))
}

func (r *Region) setBalance(in controlRequest) *wireError {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Scenario.Balance = in.Balance
	return nil
}

func (r *Region) setEgress(in controlRequest) *wireError {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.Scenario.securityGroup(in.Group)
	if g == nil {
		return refuse(404, "", "there is no security group %q here", in.Group)
	}
	g.Egress = append([]EgressRule{in.Rule}, g.Egress...)
	return nil
}

func (r *Region) controlInstance(in controlRequest) *wireError {
	switch in.Do {
	case "start", "stop":
		return r.power([]string{in.ID}, in.Do == "stop")
	case "release":
		_, e := deleteInstances(r, params{"InstanceId.1": in.ID, "Force": "true"})
		return e
	case "take-out":
		return r.retag([]string{in.ID}, func(t map[string]string) {
			for k := range t {
				if strings.HasPrefix(k, "poolkeeper.io/") {
					delete(t, k)
				}
			}
		})
	}
	return refuse(400, "", "do %q is none of start, stop, release, take-out", in.Do)
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
