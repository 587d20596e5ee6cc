package region

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Params are the parameters of a call, lists written as Name.1, Name.2.
type Params map[string]string

// Call is one request whose signature was verified.
type Call struct {
	Action  string
	Version string
	Params  Params
	// RequestID is put into the answer.
	RequestID string
}

// Answer is what a call gets.
type Answer struct {
	// Body is the answer in the vendor's shape; nil where Err is set.
	Body any
	Err  *Error
	// Token is set where a client token is at work until Finish is called.
	Token string
	// ConsoleOf names the instance whose console the caller puts into Body,
	// a *ConsoleOutput.
	ConsoleOf string
}

// Error is a refusal on the wire.
type Error struct {
	Status  int    `json:"status"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Error is the code with its text.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

func refuse(status int, code, format string, args ...any) *Error {
	return &Error{status, code, fmt.Sprintf(format, args...)}
}

// The versions of the products.
const (
	versionECS = "2014-05-26"
	versionVPC = "2016-04-28"
	versionSTS = "2015-04-01"
	versionKMS = "2016-01-20"
	versionRAM = "2015-05-01"
	versionBSS = "2017-12-14"
)

type action struct {
	version string
	do      func(*Region, *args) (any, *Error)
}

// actions are those that the region answers.
var actions = map[string]action{
	"RunInstances":                      {versionECS, (*Region).runInstances},
	"DescribeInstances":                 {versionECS, (*Region).describeInstances},
	"DeleteInstances":                   {versionECS, (*Region).deleteInstances},
	"DeleteInstance":                    {versionECS, (*Region).deleteInstances},
	"StartInstances":                    {versionECS, (*Region).startInstances},
	"StartInstance":                     {versionECS, (*Region).startInstances},
	"StopInstances":                     {versionECS, (*Region).stopInstances},
	"StopInstance":                      {versionECS, (*Region).stopInstances},
	"RebootInstance":                    {versionECS, (*Region).rebootInstance},
	"GetInstanceConsoleOutput":          {versionECS, (*Region).consoleOutput},
	"DescribeInstanceTypes":             {versionECS, (*Region).describeInstanceTypes},
	"DescribeAvailableResource":         {versionECS, (*Region).describeAvailableResource},
	"DescribeImages":                    {versionECS, (*Region).describeImages},
	"DescribeImageSupportInstanceTypes": {versionECS, (*Region).describeImageSupport},
	"DescribePrice":                     {versionECS, (*Region).describePrice},
	"DescribeSpotPriceHistory":          {versionECS, (*Region).describeSpotPriceHistory},
	"TagResources":                      {versionECS, (*Region).tagResources},
	"UntagResources":                    {versionECS, (*Region).untagResources},
	"ListTagResources":                  {versionECS, (*Region).listTagResources},
	"ModifyInstanceChargeType":          {versionECS, (*Region).modifyChargeType},
	"RenewInstance":                     {versionECS, (*Region).renewInstance},
	"ModifyInstanceAttribute":           {versionECS, (*Region).modifyAttribute},
	"DescribeSecurityGroupAttribute":    {versionECS, (*Region).describeGroupAttribute},
	"DescribeSecurityGroups":            {versionECS, (*Region).describeGroups},
	"DescribeKeyPairs":                  {versionECS, (*Region).describeKeyPairs},
	"DescribeUserData":                  {versionECS, (*Region).describeUserData},
	"DescribeAccountAttributes":         {versionECS, (*Region).describeAccountAttributes},
	"DescribeRegions":                   {versionECS, (*Region).describeRegions},
	"DescribeZones":                     {versionECS, (*Region).describeZones},
	"DescribeVSwitches":                 {versionVPC, (*Region).describeVSwitches},
	"DescribeVpcs":                      {versionVPC, (*Region).describeVpcs},
	"GetCallerIdentity":                 {versionSTS, (*Region).callerIdentity},
	"DescribeKey":                       {versionKMS, (*Region).describeKey},
	"GetRole":                           {versionRAM, (*Region).getRole},
	"QueryAccountBalance":               {versionBSS, (*Region).accountBalance},
}

// Actions names every action that is answered, sorted.
func Actions() []string { return slices.Sorted(maps.Keys(actions)) }

// tokened are the actions that take a client token.
var tokened = map[string]bool{"RunInstances": true, "DeleteInstances": true, "RenewInstance": true, "ModifyInstanceChargeType": true}

// Do carries out a call. A fault that Meet gave for it is told in front of
// the effect, as if the cloud itself had refused.
func (r *Region) Do(c Call, f Met) Answer {
	r.now = r.o.Now()
	a, ok := actions[c.Action]
	if !ok || a.version != c.Version {
		return Answer{Err: refuse(404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method.")}
	}
	p := &args{Params: c.Params, requestID: c.RequestID}
	if err := r.admit(c.Action, p); err != nil {
		return Answer{Err: err}
	}
	client := c.Params["ClientToken"]
	if !tokened[c.Action] || client == "" || c.Params["DryRun"] == "true" {
		return r.answer(a, p, f)
	}
	if len(client) > 64 || strings.ContainsFunc(client, func(c rune) bool { return c < 33 || c > 126 }) {
		return Answer{Err: refuse(400, "InvalidParameter.ClientToken", "The ClientToken must be at most 64 ASCII characters.")}
	}
	return r.once(c, a, p, f)
}

func (r *Region) answer(a action, p *args, f Met) Answer {
	if f.Before != nil {
		return Answer{Err: f.Before}
	}
	body, err := a.do(r, p)
	if err == nil {
		err = p.err
	}
	if err != nil {
		return Answer{Err: err}
	}
	out := Answer{Body: body}
	if c, ok := body.(*ConsoleOutput); ok {
		out.ConsoleOf = c.InstanceId
	}
	return out
}

// token is the first answer to a client token.
type token struct {
	Key  string    `json:"key"`
	Hash string    `json:"hash"`
	Time time.Time `json:"time"`
	IDs  []string  `json:"ids,omitempty"`
	// Order of RenewInstance and ModifyInstanceChargeType.
	Order string `json:"order,omitempty"`
	Err   *Error `json:"err,omitempty"`

	working bool
}

// once answers a call with a client token: the first answer again for the
// same parameters, a refusal for others.
func (r *Region) once(c Call, a action, p *args, f Met) Answer {
	key, hash := c.Action+"/"+c.Params["ClientToken"], digest(c.Params)
	if t := r.tokens[key]; t != nil && r.now.Before(t.Time.Add(r.wait(r.world.Times.Token))) {
		switch {
		case t.Hash != hash:
			return Answer{Err: refuse(400, "IdempotentParameterMismatch",
				"The request uses the same client token as a previous, but non-identical request.")}
		case t.working:
			return Answer{Err: refuse(403, "IdempotentProcessing", "The previous idempotent request(s) is still processing.")}
		case t.Err != nil:
			return Answer{Err: t.Err}
		}
		return Answer{Body: t.body(c.Action, c.RequestID)}
	}
	out := r.answer(a, p, f)
	if out.Err != nil && again(out.Err) {
		return out
	}
	t := &token{Key: key, Hash: hash, Time: r.now, Err: out.Err, working: true}
	switch b := out.Body.(type) {
	case *runInstancesAnswer:
		t.IDs = b.InstanceIdSets.InstanceIdSet
	case *orderAnswer:
		t.Order = b.OrderId
	}
	r.tokens[key] = t
	r.tokenAge = append(r.tokenAge, t)
	r.touch(bucketTokens, key)
	out.Token = key
	return out
}

// again says that a refusal is not an answer to the token: the same request
// may be sent again.
func again(e *Error) bool {
	return e.Status >= 500 || strings.Contains(e.Code, "Throttling") || e.Code == "OperationConflict" ||
		e.Code == "IdempotentProcessing" || e.Code == "LastTokenProcessing" || e.Code == "Forbidden.RAM"
}

func (t *token) body(action, requestID string) any {
	switch action {
	case "RunInstances":
		return newRunInstancesAnswer(requestID, t.IDs)
	case "DeleteInstances":
		return &plainAnswer{RequestId: requestID}
	}
	return &orderAnswer{RequestId: requestID, OrderId: t.Order}
}

// Finish says that the answer to a client token is stored and out: from now
// on it is told again.
func (r *Region) Finish(key string) {
	if t := r.tokens[key]; t != nil {
		t.working = false
	}
}

func (r *Region) forgetTokens() {
	for len(r.tokenAge) > 0 {
		t := r.tokenAge[0]
		if r.now.Before(t.Time.Add(r.wait(r.world.Times.Token))) {
			return
		}
		r.tokenAge = r.tokenAge[1:]
		if r.tokens[t.Key] == t {
			delete(r.tokens, t.Key)
			r.touch(bucketTokens, t.Key)
		}
	}
}

// unhashed are parameters that may differ from send to send.
var unhashed = map[string]bool{"AccessKeyId": true, "Signature": true, "SignatureNonce": true, "SignatureMethod": true,
	"SignatureVersion": true, "SignatureType": true, "Timestamp": true, "SecurityToken": true, "Format": true, "Action": true, "Version": true}

func digest(p Params) string {
	h := sha256.New()
	for _, k := range slices.Sorted(maps.Keys(p)) {
		if !unhashed[k] {
			fmt.Fprintf(h, "%d:%s=%d:%s\n", len(k), k, len(p[k]), p[k])
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// args reads parameters and keeps the first thing wrong with them.
type args struct {
	Params
	requestID string
	err       *Error
}

func (a *args) fail(e *Error) {
	if a.err == nil {
		a.err = e
	}
}

func (a *args) need(name string) string {
	v := a.Params[name]
	if v == "" {
		a.fail(missing(name))
	}
	return v
}

func missing(name string) *Error {
	return refuse(400, "MissingParameter", "The input parameter %q that is mandatory for processing this request is not supplied.", name)
}

func invalid(name, why string) *Error {
	return refuse(400, "InvalidParameter", "The specified parameter %q is not valid: %s.", name, why)
}

func (a *args) int(name string, otherwise, low, high int) int {
	v := a.Params[name]
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < low || n > high {
		a.fail(invalid(name, fmt.Sprintf("it is not a number from %d to %d", low, high)))
		return otherwise
	}
	return n
}

func (a *args) float(name string) float64 {
	v := a.Params[name]
	if v == "" {
		return 0
	}
	n, err := strconv.ParseFloat(v, 64)
	if err != nil || n < 0 {
		a.fail(invalid(name, "it is not a number"))
	}
	return n
}

func (a *args) bool(name string) bool {
	switch v := strings.ToLower(a.Params[name]); v {
	case "", "false":
		return false
	case "true":
		return true
	}
	a.fail(invalid(name, "it is neither true nor false"))
	return false
}

// list reads Name.1, Name.2 and so on.
func (a *args) list(name string) []string {
	var out []string
	for i := 1; ; i++ {
		v, ok := a.Params[name+"."+strconv.Itoa(i)]
		if !ok {
			return out
		}
		out = append(out, v)
	}
}

// oneOf reads a value that is one of several; the first is the default.
func (a *args) oneOf(name string, values ...string) string {
	v := a.Params[name]
	if v == "" {
		return values[0]
	}
	if !slices.Contains(values, v) {
		a.fail(refuse(400, "Invalid"+name+".ValueNotSupported", "The specified %s is not one of %s.", name, strings.Join(values, ", ")))
	}
	return v
}

// tags reads Tag.N.Key and Tag.N.Value.
func (a *args) tags() map[string]string {
	var out map[string]string
	for i := 1; ; i++ {
		n := "Tag." + strconv.Itoa(i)
		k, ok := a.Params[n+".Key"]
		if !ok {
			return out
		}
		if out == nil {
			out = map[string]string{}
		}
		if _, twice := out[k]; twice {
			a.fail(refuse(400, "Duplicate.TagKey", "The Tag.N.Key contain duplicate key."))
		}
		out[k] = a.Params[n+".Value"]
	}
}
