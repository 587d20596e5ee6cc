// Writes what is shipped: the list of parts and the container image; in a module
// of its own, so that neither the product nor the tools take its requirements.
module github.com/poolkeeper/poolkeeper/hack/ship

go 1.26.0

require (
	github.com/CycloneDX/cyclonedx-go v0.12.0
	github.com/google/go-containerregistry v0.22.1
)

require (
	github.com/klauspost/compress v1.20.1 // indirect
	github.com/opencontainers/go-digest v1.0.0 // indirect
	github.com/opencontainers/image-spec v1.1.1 // indirect
)
