package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	openapiutil "github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/ecs"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/sts"
)

// hex256 is the hex form of a SHA-256.
func hex256(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// acs3 is a request signed by hand as the vendor describes it.
func (b *bench) acs3(change func(h http.Header), secret string) (int, map[string]string) {
	b.Helper()
	host := strings.TrimPrefix(b.url, "http://")
	h := http.Header{}
	h.Set("x-acs-action", "GetCallerIdentity")
	h.Set("x-acs-version", "2015-04-01")
	h.Set("x-acs-date", time.Now().UTC().Format("2006-01-02T15:04:05Z"))
	h.Set("x-acs-signature-nonce", fmt.Sprint(time.Now().UnixNano()))
	h.Set("x-acs-content-sha256", hex256(""))
	change(h)
	names := []string{"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"}
	text := "GET\n/\nA=x%20y&B.1=%2A~\n"
	for _, n := range names {
		v := h.Get(n)
		if n == "host" {
			v = host
		}
		text += n + ":" + v + "\n"
	}
	text += "\n" + strings.Join(names, ";") + "\n" + h.Get("x-acs-content-sha256")
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte("ACS3-HMAC-SHA256\n" + hex256(text)))
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, b.url+"/?B.1=*~&A=x+y", nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header = h
	key := b.identity.credentials.AccessKeyID
	if v := h.Get("test-key"); v != "" {
		key = v
		h.Del("test-key")
	}
	h.Set("Authorization", "ACS3-HMAC-SHA256 Credential="+key+",SignedHeaders="+strings.Join(names, ";")+",Signature="+hex.EncodeToString(m.Sum(nil)))
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer a.Body.Close()
	body := map[string]string{}
	if err := json.NewDecoder(a.Body).Decode(&body); err != nil {
		b.Fatal(err)
	}
	if body["RequestId"] == "" || body["RequestId"] != a.Header.Get("x-acs-request-id") {
		b.Errorf("request id %q, in the header %q", body["RequestId"], a.Header.Get("x-acs-request-id"))
	}
	return a.StatusCode, body
}

// The current signature, made by hand: good, and each way to be bad.
func TestACS3(t *testing.T) {
	b := newBench(t, "")
	secret := b.identity.credentials.AccessKeySecret
	same := func(h http.Header) { h.Set("x-acs-signature-nonce", "the-same") }
	off := func(d time.Duration) func(http.Header) {
		return func(h http.Header) { h.Set("x-acs-date", time.Now().Add(d).UTC().Format("2006-01-02T15:04:05Z")) }
	}
	for _, c := range []struct {
		name, secret string
		change       func(http.Header)
		status       int
		code         string
	}{
		{"good", secret, func(http.Header) {}, 200, ""},
		{"first use of a nonce", secret, same, 200, ""},
		{"second use of a nonce", secret, same, 400, "SignatureNonceUsed"},
		{"wrong secret", "wrong", func(http.Header) {}, 400, "SignatureDoesNotMatch"},
		{"unknown key", secret, func(h http.Header) { h.Set("test-key", "LTAInobody") }, 404, "InvalidAccessKeyId.NotFound"},
		{"too old", secret, off(-16 * time.Minute), 400, "InvalidTimeStamp.Expired"},
		{"too new", secret, off(16 * time.Minute), 400, "InvalidTimeStamp.Expired"},
		{"old but good", secret, off(-14 * time.Minute), 200, ""},
		{"no nonce", secret, func(h http.Header) { h.Del("x-acs-signature-nonce") }, 400, "MissingParameter"},
		{"another body", secret, func(h http.Header) { h.Set("x-acs-content-sha256", hex256("x")) }, 400, "SignatureDoesNotMatch"},
		{"unknown action", secret, func(h http.Header) { h.Set("x-acs-action", "MakeCoffee") }, 404, "InvalidAction.NotFound"},
		{"another product's version", secret, func(h http.Header) { h.Set("x-acs-version", "2014-05-26") }, 404, "InvalidAction.NotFound"},
	} {
		status, body := b.acs3(c.change, c.secret)
		if status != c.status || body["Code"] != c.code {
			t.Errorf("%s: %d %v", c.name, status, body)
		}
		if c.code == "" && body["AccountId"] != b.identity.credentials.AccountID {
			t.Errorf("%s: %v", c.name, body)
		}
	}
}

// The vendor's current SDK core is understood, in its query and in its form.
func TestCurrentSDK(t *testing.T) {
	b := newBench(t, "")
	key := b.identity.credentials
	c, err := openapi.NewClient(&openapiutil.Config{AccessKeyId: &key.AccessKeyID, AccessKeySecret: &key.AccessKeySecret,
		Endpoint: tea.String(strings.TrimPrefix(b.url, "http://")), Protocol: tea.String("HTTP"), RegionId: tea.String("cn-local")})
	if err != nil {
		t.Fatal(err)
	}
	call := func(action string, r *openapiutil.OpenApiRequest) (map[string]any, error) {
		p := &openapiutil.Params{Action: &action, Version: tea.String("2014-05-26"), Protocol: tea.String("HTTP"), Method: tea.String("POST"),
			AuthType: tea.String("AK"), Style: tea.String("RPC"), Pathname: tea.String("/"), ReqBodyType: tea.String("formData"), BodyType: tea.String("json")}
		return c.CallApi(p, r, &dara.RuntimeOptions{})
	}
	params := map[string]any{"Amount": 2, "InstanceType": "ecs.c7.large", "ImageId": "aliyun_3_x64_20G_local.vhd", "VSwitchId": "vsw-c",
		"SecurityGroupIds": []string{"sg-local"}, "Tag": []map[string]string{{"Key": "a b*~/ü", "Value": "x&y=z"}}}
	a, err := call("RunInstances", &openapiutil.OpenApiRequest{Query: openapiutil.Query(params)})
	if err != nil {
		t.Fatal(err)
	}
	body, _ := a["body"].(map[string]any)
	sets, _ := body["InstanceIdSets"].(map[string]any)
	if ids, _ := sets["InstanceIdSet"].([]any); len(ids) != 2 {
		t.Fatalf("the answer is %v", a)
	}
	if _, err := call("RunInstances", &openapiutil.OpenApiRequest{Body: openapiutil.ParseToMap(openapiutil.Query(params))}); err != nil {
		t.Fatal(err)
	}
	_, err = call("RunInstances", &openapiutil.OpenApiRequest{})
	if err == nil || !strings.Contains(err.Error(), "MissingParameter") {
		t.Fatalf("without parameters: %v", err)
	}
	r := ecs.CreateDescribeInstancesRequest()
	r.VSwitchId = "vsw-c"
	list, err := b.client.DescribeInstances(r)
	if err != nil || len(list.Instances.Instance) != 4 {
		t.Fatalf("%v, %v", list, err)
	}
	if tag := list.Instances.Instance[0].Tags.Tag[0]; tag.TagKey != "a b*~/ü" || tag.TagValue != "x&y=z" {
		t.Errorf("the tag came as %+v", tag)
	}
}

// The first signature, good and bad, through the vendor's first SDK.
func TestFirstSignature(t *testing.T) {
	b := newBench(t, "")
	key := b.identity.credentials
	c, err := sts.NewClientWithAccessKey("cn-local", key.AccessKeyID, key.AccessKeySecret)
	if err != nil {
		t.Fatal(err)
	}
	r := sts.CreateGetCallerIdentityRequest()
	r.Domain, r.Scheme = strings.TrimPrefix(b.url, "http://"), "HTTP"
	a, err := c.GetCallerIdentity(r)
	if err != nil || a.AccountId != key.AccountID {
		t.Fatalf("%v, %v", a, err)
	}
	_, err = b.v1(key.AccessKeyID, "wrong").RunInstances(launch(1))
	refused(t, err, 400, "SignatureDoesNotMatch", "")
	_, err = b.v1("nobody", key.AccessKeySecret).RunInstances(launch(1))
	refused(t, err, 404, "InvalidAccessKeyId.NotFound", "")
}
