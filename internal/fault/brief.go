package fault

// briefs say in a few words what the cloud had not, after "2 created, then".
var briefs = map[Code]string{
	NoStock:                   "out of stock",
	ZoneNotOnSale:             "not on sale",
	ResourceTypeNotSupported:  "not offered",
	DiskTypeNoStock:           "disk category out of stock",
	InstanceTypeNotAuthorized: "type not authorized",
	NotMatchBootMode:          "boot mode does not fit",
	NotMatchVTPM:              "image without vTPM",
	ImageNotSupported:         "image without vSGX",
	InstanceTypeNotSupported:  "architecture does not fit",
	ParameterConflict:         "disk category does not fit",
	EncryptionNeedsESSD:       "encryption needs an ESSD",
	KMSKeyDisabled:            "KMS key disabled",
	KMSNotActivated:           "KMS not activated",
	PassRoleForbidden:         "RAM role not handed on",
	KMSUnauthorized:           "KMS not authorized",
	ElasticQuota:              "quota of the type used up",
	ElasticQuotaZone:          "vCPU quota of the zone used up",
	PrivateIPAddress:          "no free address",
	NotEnoughBalance:          "balance too low",
	InsufficientBalance:       "balance and credit too low",
	Arrearage:                 "account in arrears",
	TokenMismatch:             "token known with other content",
	TypeZoneNotSupported:      "not offered",
	SystemDiskCategory:        "disk category not offered",
	AfterpayInstanceQuota:     "quota of the account used up",
	DeploymentSetFull:         "deployment set full",
	SecurityGroupFull:         "security group full",
	SpotPriceLimitLow:         "price limit below the market",
	ImageTypeNotSupported:     "image does not fit",
	InstanceTypeDeploymentSet: "not in this deployment set",
}

// Brief says a code in a few words, for lists of what came of requests. A code
// without such words is its own.
func (c Code) Brief() string {
	if s, ok := briefs[c]; ok {
		return s
	}
	if i, ok := index[c]; ok {
		if s, ok := briefs[catalogue[i].Code]; ok {
			return s
		}
	}
	return string(c)
}
