package alicloud

import (
	"encoding/json"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

func TestWireCodes(t *testing.T) {
	cases := map[string]struct {
		status     int
		code, text string
		want       fault.Code
		outcome    cloud.Outcome
	}{
		"no stock":              {403, "OperationDenied.NoStock", "The requested resource is sold out in the specified zone.", fault.NoStock, cloud.Refused},
		"no stock of the disk":  {403, "OperationDenied.NoStock", "The specified disk category is sold out in the zone.", fault.DiskTypeNoStock, cloud.Refused},
		"boot mode":             {403, "InvalidParameter.NotMatch", "Image bootMode BIOS does not match instanceType bootMode", fault.NotMatchBootMode, cloud.Refused},
		"vTPM":                  {403, "InvalidParameter.NotMatch", "The specified instanceType only support vTPM image.", fault.NotMatchVTPM, cloud.Refused},
		"other not match":       {403, "InvalidParameter.NotMatch", "Something else.", fault.NotMatch, cloud.Refused},
		"vSGX":                  {403, "InvalidImage.NotSupported", "The specified image does not support vSGX instance.", fault.ImageNotSupported, cloud.Refused},
		"vTPM needs UEFI":       {403, "InvalidImage.NotSupported", "vTPM instance need UEFI image", "InvalidImage.NotSupported/Other", cloud.Refused},
		"architecture":          {400, "InvalidInstanceType.NotSupported", "The specified instanceType is not supported by the image architecture.", fault.InstanceTypeNotSupported, cloud.Refused},
		"deployment set":        {400, "InvalidInstanceType.NotSupported", "The specified instanceType is not supported by the deployment set.", fault.InstanceTypeDeploymentSet, cloud.Refused},
		"disk and type":         {400, "InvalidParameter.Conflict", "The specified disk category (cloud_ssd) is not support the specified instance type.", fault.ParameterConflict, cloud.Refused},
		"disk and type, second": {403, "InvalidDiskCategory.NotSupported", "x", fault.ParameterConflict, cloud.Refused},
		"disk and type, third":  {403, "InvalidInstanceType.NotSupportDiskCategory", "x", fault.ParameterConflict, cloud.Refused},
		"quota of a type":       {403, "QuotaExceed.ElasticQuota", "The number of the specified ECS instances has exceeded the quota of the specified instance type.", fault.ElasticQuota, cloud.Refused},
		"quota of a zone":       {403, "QuotaExceed.ElasticQuota", "The number of vCPUs assigned to the ECS instances has exceeded the quota in the zone.", fault.ElasticQuotaZone, cloud.Refused},
		"addresses":             {400, "InvalidVSwitchId.IpNotEnough", "x", fault.PrivateIPAddress, cloud.Refused},
		"balance":               {403, "InsufficientBalance", "x", fault.InsufficientBalance, cloud.Refused},
		"not authorized":        {400, "InvalidInstanceType.ValueUnauthorized", "x", fault.InstanceTypeNotAuthorized, cloud.Refused},
		"key disabled":          {403, "InvalidParameter.KMSKeyId.CMKNotEnabled", "x", fault.KMSKeyDisabled, cloud.Refused},
		"throttled, 400":        {400, "Throttling.User", "x", fault.Throttling, cloud.Throttled},
		"throttled, 429":        {429, "Throttling.Resource", "x", fault.Throttling, cloud.Throttled},
		"throttled, 503":        {503, "Rejected.Throttling", "x", fault.Throttling, cloud.Throttled},
		"mismatch":              {400, "IdempotentParameterMismatch", "x", fault.TokenMismatch, cloud.Mismatch},
		"mismatch, older name":  {400, "InvalidIdempotenceParameter.Mismatch", "x", fault.TokenMismatch, cloud.Mismatch},
		"processing":            {403, "IdempotentProcessing", "x", fault.IdempotentProcessing, cloud.Processing},
		"processing, other":     {403, "LastTokenProcessing", "x", fault.LastTokenProcessing, cloud.Processing},
		"conflict":              {409, "OperationConflict", "x", fault.OperationConflict, cloud.Processing},
		"broken":                {500, "InternalError", "x", fault.InternalError, cloud.Unknown},
		"unavailable as 4xx":    {400, "ServiceUnavailable", "x", fault.ServiceUnavailable, cloud.Unknown},
		"unknown":               {403, "Something.New", "x", "Something.New", cloud.Refused},
		"unknown and broken":    {502, "Something.New", "x", "Something.New", cloud.Unknown},
		"starting":              {403, "IncorrectInstanceStatus.Initializing", "x", fault.InstanceBusy, cloud.Refused},
		"a used nonce":          {400, "SignatureNonceUsed", "x", fault.SignatureNonceUsed, cloud.Processing},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			body, err := json.Marshal(map[string]string{"Code": c.code, "Message": c.text, "RequestId": "R-1", "HostId": "h"})
			if err != nil {
				t.Fatal(err)
			}
			e := refusal("Create", c.status, body)
			if e.Fault.Code != c.want || e.Outcome != c.outcome {
				t.Errorf("%s, %s; want %s, %s", e.Fault.Code, e.Outcome, c.want, c.outcome)
			}
			if e.Fault.WireCode != c.code || e.Fault.Message != c.text || e.Fault.RequestID != "R-1" || e.Fault.Status != c.status {
				t.Errorf("the vendor's words were changed: %+v", e.Fault)
			}
			if e.Fault.ProvesNothingDone != c.outcome.ProvesNothingDone() {
				t.Errorf("proves nothing done: %v", e.Fault.ProvesNothingDone)
			}
		})
	}
}

func TestAnswersThatAreNoneProveNothing(t *testing.T) {
	for _, body := range []string{"", "<html>bad gateway</html>", "{}", `{"Code":7}`, `[]`} {
		for _, status := range []int{302, 403, 500} {
			if e := refusal("Create", status, []byte(body)); e.Outcome != cloud.Unknown || e.Fault.Code != fault.CloudNoAnswer {
				t.Errorf("%d %q: %s %s", status, body, e.Outcome, e.Fault.Code)
			}
		}
	}
}
