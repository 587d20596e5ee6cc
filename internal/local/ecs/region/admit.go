package region

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// throttle counts calls in the current minute.
type throttle struct {
	minute int64
	calls  map[string]int
}

// admit refuses a call that the key may not make, and calls beyond the bound
// of a minute until the minute is over.
func (r *Region) admit(action string, p *args) *Error {
	if slices.Contains(r.world.Account.DeniedActions, action) {
		return refuse(403, "Forbidden.RAM", "User not authorized to operate on the specified resource, or this API doesn't support RAM: %s.", action)
	}
	minute := r.now.UnixNano() / max(int64(r.after(time.Minute)), 1)
	if minute != r.throttle.minute || r.throttle.calls == nil {
		r.throttle = throttle{minute, map[string]int{}}
	}
	bound, named := r.world.Throttle[action]
	if !named {
		bound = r.world.Throttle["*"]
	}
	r.throttle.calls[action]++
	if bound > 0 && r.throttle.calls[action] > bound {
		return refuse(400, "Throttling.User", "Request was denied due to user flow control.")
	}
	if action == "RunInstances" && p.Params["DryRun"] != "true" {
		amount, err := strconv.Atoi(p.Params["Amount"])
		if err != nil {
			amount = 1
		}
		most := r.world.InstancesPerMinute
		if most > 0 && r.throttle.calls["instances"]+amount > most {
			return refuse(400, "Throttling.User", "Request was denied due to user flow control: too many instances in a minute.")
		}
		r.throttle.calls["instances"] += max(amount, 0)
	}
	return nil
}

// statusOf is the HTTP status that the vendor sends with a code.
func statusOf(code string) int {
	switch {
	case code == "ServiceUnavailable":
		return 503
	case code == "InternalError":
		return 500
	case code == "OperationConflict":
		return 409
	case code == "Throttling.Resource":
		return 429
	case strings.HasSuffix(code, ".NotFound"):
		return 404
	case strings.Contains(code, "Throttling"), strings.HasPrefix(code, "Missing"), code == "IdempotentParameterMismatch",
		slices.Contains(badRequest, code):
		return 400
	}
	return 403
}

var badRequest = []string{"InvalidInstanceType.NotSupported", "InvalidInstanceType.ValueUnauthorized", "InvalidParameter.KmsNotEnabled",
	"InvalidParameter.Conflict", "Account.Arrearage", "QuotaExceeded.PrivateIpAddress", "NotSupportSnapshotEncrypted.DiskCategory",
	"Zone.NotOnSale", "InvalidSpotPriceLimit.LowerThanPublicPrice", "SignatureDoesNotMatch", "SignatureNonceUsed",
	"InvalidTimeStamp.Expired", "InvalidInstanceType.ValueNotSupported", "InvalidVSwitchId.IpNotEnough"}
