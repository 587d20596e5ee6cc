# Everything is built into bin/. `make help` says what there is.
export GOFLAGS ?= -buildvcs=false
K8S := v1.37.2
LDPLANE := -s -w -X k8s.io/component-base/version.gitVersion=$(K8S) -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GEN := go tool -modfile=hack/go.mod controller-gen

.PHONY: help up test build plane generate verify lint bench
help: ## say what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

build: plane ## build bin/poolkeeper and the control plane
	go build -ldflags "-s -w -X main.version=$(VERSION)" -o bin/poolkeeper ./cmd/poolkeeper

plane: bin/poolkeeper-plane ## build the control plane (minutes the first time)
bin/poolkeeper-plane: $(wildcard plane/*.go) plane/go.mod plane/go.sum
	@mkdir -p bin
	@echo "building the Kubernetes control plane: 7 to 12 minutes the first time, seconds later"
	@(while sleep 30; do echo "  ... still building"; done) & P=$$!; \
	  (cd plane && go build -ldflags "$(LDPLANE)" -o ../bin/poolkeeper-plane .); R=$$?; kill $$P 2>/dev/null; exit $$R
	@for n in etcd kube-apiserver kubectl; do ln -sf poolkeeper-plane bin/$$n; done

up: build ## build, and start the local region in the foreground
	bin/poolkeeper local up

test: plane ## run everything that CI runs
	go vet ./...
	KUBEBUILDER_ASSETS=$(CURDIR)/bin go test -timeout 20m ./...
	cd plane && go vet ./... && go test ./...

generate: ## make deep copies, CRDs and docs/faults.md anew
	$(GEN) object paths=./api/...
	$(GEN) crd paths=./api/... output:crd:dir=config/crd
	go run ./internal/faultdoc > docs/faults.md

verify: generate ## fail where generated files are not what is committed
	git diff --exit-code -- api config/crd docs/faults.md

lint: ## vet and format
	go vet ./... && test -z "$$(gofmt -l api cmd config internal plane)"
