package alicloud

import (
	"encoding/json"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// The longest code and text that are passed on. Unit: bytes.
const (
	maxCode = 128
	maxText = 1024
)

// unmarshal reads an answer. The pages of instances are most of all that is read
// and go to a reader that needs a third of the time; names in them are taken as
// they are spelt.
func unmarshal(body []byte, out any) error {
	if page, ok := out.(*instancePage); ok {
		return jsonv2.Unmarshal(body, page, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	}
	return json.Unmarshal(body, out)
}

// number is a number of JSON as it stands there, or in a string; empty for null.
type number string

// UnmarshalJSON takes both forms.
func (n *number) UnmarshalJSON(text []byte) error {
	*n = ""
	if s := string(text); s != "null" {
		*n = number(strings.Trim(s, `"`))
	}
	return nil
}

// refusal reads the vendor's error body. What is not one proves nothing.
func refusal(call string, status int, body []byte) *cloud.Error {
	var e struct {
		Code      string
		Message   string
		RequestID string `json:"RequestId"`
	}
	if json.Unmarshal(body, &e) != nil || e.Code == "" {
		f := fault.New(fault.CloudNoAnswer, "the answer is not one of this API")
		f.Status = status
		return cloud.Fail(call, cloud.Unknown, f, nil)
	}
	f := &fault.Fault{
		Code: codeOf(e.Code, e.Message), WireCode: cut(e.Code, maxCode),
		Message: cut(e.Message, maxText), RequestID: cut(e.RequestID, 64), Status: status,
	}
	return cloud.Fail(call, outcomeOf(f.Code, status), f, nil)
}

func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}

// outcomeOf tells what an answer proves, by its code; the status decides only
// where the server says itself that it is broken.
func outcomeOf(c fault.Code, status int) cloud.Outcome {
	switch c {
	case fault.Throttling:
		return cloud.Throttled
	case fault.TokenMismatch:
		return cloud.Mismatch
	case fault.IdempotentProcessing, fault.LastTokenProcessing, fault.OperationConflict:
		return cloud.Processing
	case fault.ServiceUnavailable, fault.InternalError:
		return cloud.Unknown
	case fault.SignatureNonceUsed:
		// Something on the way repeated the request: the first may have counted.
		return cloud.Processing
	}
	if status >= 500 || status < 400 {
		return cloud.Unknown
	}
	return cloud.Refused
}

// sameRow are wire codes that people find under another code.
var sameRow = map[string]fault.Code{
	"InsufficientBalance":                        fault.InsufficientBalance,
	"InvalidVSwitchId.IpNotEnough":               fault.PrivateIPAddress,
	"InvalidDiskCategory.NotSupported":           fault.ParameterConflict,
	"InvalidInstanceType.NotSupportDiskCategory": fault.ParameterConflict,
	"InvalidInstanceType.ValueUnauthorized":      fault.InstanceTypeNotAuthorized,
	"InvalidIdempotenceParameter.Mismatch":       fault.TokenMismatch,
	"IncorrectInstanceStatus.Initializing":       fault.InstanceBusy,
	"InvalidVSwitchId.NotExist":                  fault.VSwitchNotFound,
}

// codeOf turns a wire code, and for a few its text, into a code of the
// catalogue.
func codeOf(wire, text string) fault.Code {
	if c, ok := sameRow[wire]; ok {
		return c
	}
	if strings.Contains(wire, "Throttling") {
		return fault.Throttling
	}
	if strings.HasPrefix(wire, "IncorrectInstanceStatus") {
		return fault.InstanceBusy
	}
	says := func(words ...string) bool {
		for _, w := range words {
			if !strings.Contains(strings.ToLower(text), w) {
				return false
			}
		}
		return true
	}
	switch c := fault.Code(cut(wire, maxCode)); {
	case c == fault.NotMatch && says("vtpm"):
		return fault.NotMatchVTPM
	case c == fault.NotMatch && says("bootmode"):
		return fault.NotMatchBootMode
	case c == fault.ImageNotSupported && !says("vsgx"):
		return c + "/Other"
	case c == fault.InstanceTypeNotSupported && says("deployment set"):
		return fault.InstanceTypeDeploymentSet
	case c == fault.InstanceTypeNotSupported && !says("architecture"):
		return c + "/Other"
	case c == fault.ParameterConflict && !says("disk category"):
		return c + "/Other"
	case c == fault.ElasticQuota && says("vcpu", "zone"):
		return fault.ElasticQuotaZone
	case c == fault.NoStock && says("disk"):
		return fault.DiskTypeNoStock
	default:
		return c
	}
}
