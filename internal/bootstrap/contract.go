package bootstrap

// What a machine files and internal/join checks, in one place.
const (
	// AnnotationDocument holds the instance identity document of a certificate
	// request: base64 of exactly the bytes that the metadata service gave.
	AnnotationDocument = "poolkeeper.io/identity-document"
	// AnnotationSignature holds the detached PKCS #7 signature: base64 of
	// exactly the bytes that the metadata service gave (base64 text, PEM or DER).
	AnnotationSignature = "poolkeeper.io/identity-signature"
	// Signer is the signer that a machine asks.
	Signer = "kubernetes.io/kube-apiserver-client-kubelet"
	// Organization and CommonNamePrefix make the subject:
	// O=system:nodes, CN=system:node:<instance id>.
	Organization     = "system:nodes"
	CommonNamePrefix = "system:node:"
	// LabelPool is the label with the pool's name on each Node.
	LabelPool = "poolkeeper.io/pool"
)

// Usages are the key usages that a machine asks for, in this order.
func Usages() []string { return []string{"digital signature", "client auth"} }

// RequestPrefix is the generateName of the requests of a pool's machines.
func RequestPrefix(pool string) string { return "poolkeeper-" + pool + "-" }
