package alicloud

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
)

// Mutation is one send that may have changed something, as it is audited. No
// secret stands in it.
type Mutation struct {
	// Action is the vendor's name of the call.
	Action string
	// Cause is why it was made: that of cloud.WithCause.
	Cause string
	// What are the parameters that say what was asked for, by name.
	What map[string]string
	// AccessKeyID is the key that signed it.
	AccessKeyID string
	// Result is what the answer proves, and Code the fault's; empty where done.
	Result cloud.Outcome
	Code   string
	// RequestID is the cloud's; empty where no answer came.
	RequestID string
	// Created are the instances that the answer names.
	Created []string
}

// audited are the parameters that stand in a Mutation, numbered ones by what is
// before the number. User data and tags that people set are not among them.
var audited = map[string]bool{
	"Amount": true, "ClientToken": true, "VSwitchId": true, "InstanceType": true, "InstanceChargeType": true, "SpotStrategy": true,
	"InstanceId": true, "InstanceIds": true, "ResourceId": true, "TagKey": true, "Period": true, "PeriodUnit": true,
}

// audit tells of one send after it.
func (p *Provider) audit(ctx context.Context, action, accessKeyID string, in params, body []byte, failed *cloud.Error) {
	if p.opts.Audit == nil {
		return
	}
	m := Mutation{Action: action, Cause: cloud.CauseOf(ctx), AccessKeyID: accessKeyID, Result: cloud.Done, What: map[string]string{}}
	for name, value := range in {
		if word, _, _ := strings.Cut(name, "."); audited[word] {
			m.What[name] = value
		}
	}
	var answer struct {
		RequestID      string `json:"RequestId"`
		InstanceIDSets struct {
			InstanceIDSet []string `json:"InstanceIdSet"`
		} `json:"InstanceIdSets"`
	}
	_ = json.Unmarshal(body, &answer) // what is no answer names nothing
	m.RequestID, m.Created = cut(answer.RequestID, 64), answer.InstanceIDSets.InstanceIDSet
	if failed != nil {
		m.Result, m.Code = failed.Outcome, string(failed.Fault.Code)
	}
	p.opts.Audit(m)
}
