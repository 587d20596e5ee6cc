package join

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// document is an instance identity document: a flat JSON object.
type document map[string]string

// parseDocument reads a document strictly. It must not hold an audience: whoever
// chooses the audience of a signature could otherwise smuggle further fields
// into the signed text, and no field may stand twice for the same reason.
func parseDocument(b []byte) (document, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("the identity document is not a JSON object")
	}
	doc := document{}
	for d.More() {
		k, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("parse identity document: %w", err)
		}
		v, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("parse identity document: %w", err)
		}
		key, _ := k.(string)
		if _, twice := doc[key]; twice || key == "audience" {
			return nil, fmt.Errorf("the identity document may not hold the field %.40q there", key)
		}
		if _, nested := v.(json.Delim); nested {
			return nil, fmt.Errorf("the field %.40q of the identity document is not a plain value", key)
		}
		doc[key], _ = v.(string)
	}
	if t, err := d.Token(); err != nil || t != json.Delim('}') || len(bytes.TrimSpace(b[d.InputOffset():])) > 0 {
		return nil, errors.New("the identity document does not end with its object")
	}
	if err := doc.oneName("owner-account-id", "account-id"); err != nil {
		return nil, err
	}
	return doc, doc.oneName("private-ipv4", "private-ip")
}

// oneName refuses a document whose newer and older spelling of a field differ.
func (d document) oneName(newer, older string) error {
	if d[newer] != "" && d[older] != "" && d[newer] != d[older] {
		return fmt.Errorf("the identity document has different values for %s and %s", newer, older)
	}
	return nil
}

func (d document) either(newer, older string) string {
	if v := d[newer]; v != "" {
		return v
	}
	return d[older]
}

func (d document) identity() Identity {
	return Identity{
		Account:      d.either("owner-account-id", "account-id"),
		Region:       d["region-id"],
		Zone:         d["zone-id"],
		Instance:     d["instance-id"],
		InstanceType: d["instance-type"],
		PrivateIP:    d.either("private-ipv4", "private-ip"),
	}
}
