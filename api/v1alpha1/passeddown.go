package v1alpha1

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// AnnotationPassedDown on a ScalingGroup holds the fingerprint of the spec that
// the controller of node pools last passed down, so that an edit by hand is
// told from a pool that has changed.
const AnnotationPassedDown = "poolkeeper.io/passed-down"

// Fingerprint is a hash of what only the controller of node pools decides:
// everything but healthCheck.
func (s *ScalingGroupSpec) Fingerprint() string {
	c := *s
	c.HealthCheck = ""
	raw, err := json.Marshal(&c)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}

// Edited says whether somebody else has changed the spec since it was passed
// down. It is put back, and nobody acts on it before that.
func (g *ScalingGroup) Edited() bool {
	passed := g.Annotations[AnnotationPassedDown]
	return passed != "" && passed != g.Spec.Fingerprint()
}
