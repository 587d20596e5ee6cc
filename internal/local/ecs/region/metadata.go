package region

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Metadata is what an instance's metadata service tells.
type Metadata struct {
	Enabled, TokenRequired bool
	// Values of latest/meta-data/, by their path below it.
	Values map[string]string
	// Document is the identity document, byte for byte the same every time.
	Document []byte
	UserData []byte
}

// Names lists what is below latest/meta-data/.
func (m Metadata) Names() []string { return slices.Sorted(maps.Keys(m.Values)) }

// document is the identity document. It has no time in it.
type document struct {
	Account      string `json:"owner-account-id"`
	Instance     string `json:"instance-id"`
	MAC          string `json:"mac"`
	Region       string `json:"region-id"`
	Serial       string `json:"serial-number"`
	Zone         string `json:"zone-id"`
	InstanceType string `json:"instance-type"`
	Image        string `json:"image-id"`
	PrivateIP    string `json:"private-ipv4"`
}

// Metadata returns what the metadata service of an instance tells.
func (r *Region) Metadata(id string) (Metadata, bool) {
	i := r.instances[id]
	if i == nil {
		return Metadata{}, false
	}
	l := i.launch
	doc, err := json.Marshal(document{r.o.Account, i.ID, mac(i), r.world.Region, serial(i), l.Zone, l.Type.Name, l.Image.ID, i.IP})
	if err != nil {
		return Metadata{}, false
	}
	m := Metadata{Enabled: l.HTTPEndpoint == "enabled", TokenRequired: l.HTTPTokens == "required", Document: doc, UserData: l.data,
		Values: map[string]string{"instance-id": i.ID, "region-id": r.world.Region, "zone-id": l.Zone, "private-ipv4": i.IP,
			"hostname": i.HostName, "mac": mac(i), "serial-number": serial(i), "owner-account-id": r.o.Account, "image-id": l.Image.ID,
			"vpc-id": l.VPC, "vswitch-id": l.VSwitch, "network-type": "vpc", "instance/instance-type": l.Type.Name,
			"instance/instance-name": i.Name, "eipv4": "", "dns-conf/nameservers": "100.100.2.136\n100.100.2.138"}}
	for k, v := range i.Tags {
		m.Values["tags/instance/"+k] = v
	}
	if v := r.world.VSwitch(l.VSwitch); v != nil {
		m.Values["vswitch-cidr-block"] = v.CIDR
	}
	if !i.Terminates.IsZero() {
		m.Values["instance/spot/termination-time"] = second(i.Terminates)
	}
	if l.RAMRole != "" {
		m.Values["ram/security-credentials/"] = fmt.Sprint(l.RAMRole)
	}
	return m, true
}
