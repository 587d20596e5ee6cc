# `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
BIN := $(abspath bin)
KUBERNETES := v1.37.2
KV := k8s.io/component-base/version
VERSION := $(shell git describe --tags --always --dirty=-modified 2>/dev/null || echo unknown)
PLANE_FLAGS := -ldflags "-s -w -X $(KV).gitVersion=$(KUBERNETES) -X $(KV).gitMajor=1 -X $(KV).gitMinor=37"
TOOL := go tool -modfile=hack/go.mod
# COMPILE lets the compiler collect garbage seldom: a sixth less time for more memory.
COMPILE = GOGC=400
TESTS = $(COMPILE) go test -exec 'env -u GOGC' -ldflags=-w -vet=off -count=1 -timeout=40m -json
# DRIVING are the tests that only drive programs. Programs wait for one another there, so
# they run beside each other, when all others have ended. RACED are the others in which more
# than one goroutine of ours runs; the race detector can find nothing in PLAIN.
DRIVING = ./test/kill ./test/scenario
RACED = $$(grep -rlE '\bgo func|\.Go\(|\bsync\.|\batomic\.|t\.Parallel\(' --include='*.go' api cmd config internal | grep -v /archtest/ | xargs dirname | sort -u | sed 's,^,./,')
PLAIN = $$(comm -13 <(go list $(RACED) $(DRIVING) | sort) <(go list ./... | sort))
SUM = go -C hack run ./testsum -log /test/kill
BAD = echo '{"Action":"ended-badly"}'
# AGAIN are the tests that may fail once, by how a busy machine shares its time, and say so.
AGAIN = '/test/scenario Test(Transcripts|Whole)/[a-z0-9-]+$$'
export KUBEBUILDER_ASSETS := $(BIN)
# With -trimpath both modules find what they share compiled once.
export GOFLAGS := $(GOFLAGS) -trimpath

.DEFAULT_GOAL := help
.PHONY: help up test sim fuzz vuln race bench large memory kill soak upgrade sbom image verify lint vet build plane generate generated

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: build ## build, then start the local region in the foreground
	@exec $(BIN)/poolkeeper local up

build: plane ## build bin/poolkeeper and bin/poolkeeper-plane (the first time takes minutes)
	@$(COMPILE) go build -ldflags "-X main.version=$(VERSION)" -o $(BIN)/poolkeeper ./cmd/poolkeeper
	@ln -sf poolkeeper $(BIN)/kubectl-poolkeeper

plane:
	@$(COMPILE) hack/build-plane $(BIN)/poolkeeper-plane $(PLANE_FLAGS)
	@for name in etcd kube-apiserver kubectl; do ln -sf poolkeeper-plane $(BIN)/$$name; done

test: build verify vet ## all that CI runs: verify, vet, every test; a skip fails, a transcript has a second try that is told
	@{ $(TESTS) $(PLAIN) || $(BAD); $(TESTS) -race $(RACED) || $(BAD); $(TESTS) -race -run SeedsKeep ./test/sim || $(BAD); \
	  (cd plane && $(TESTS) $(PLANE_FLAGS) ./...) || $(BAD); \
	  (cd hack && $(TESTS) ./testsum) || $(BAD); (cd hack/ship && $(TESTS) ./...) || $(BAD); \
	  $(TESTS) -p 2 $(DRIVING) || $(BAD); } | $(SUM) -again $(AGAIN) -never invariants,
	@echo "make test: everything passed"

kill: build ## kill controller, local cloud and control plane by seed, at least 50 times each
	@$(TESTS) -timeout=3h -tags=kill ./test/kill/... | $(SUM)

soak: build ## kill, stop, cut off, fill the disk, turn the clock, FOR=1h; prints a table
	@FOR=$(or $(FOR),1h) go test -v -count=1 -timeout=0 -tags=soak -run TestSoak ./test/kill

upgrade: build ## let a released version (FROM=tag or commit) and this one take each other's place while a pool scales
	@hack/upgrade $(FROM)

sim: ## simulate seeds that are not on record, FOR=10m on all cores; SEED=n plays one and tells its story
	@go run ./test/sim/run -for $(or $(FOR),10m) $(if $(SEED),-seed $(SEED))

fuzz: ## fuzz everything that parses outside input, each target for FUZZ (default 30s)
	@hack/fuzz $(or $(FUZZ),30s)

vuln: ## look for known vulnerabilities (VULNDB: another database); says when it could not
	@hack/vuln

sbom: build ## write bin/sbom.json, the parts of both programs (CycloneDX)
	@go -C hack/ship run . sbom $(BIN)/sbom.json $(BIN)/poolkeeper $(BIN)/poolkeeper-plane

image: ## write bin/image.tar, a container image of the program and nothing else, for ARCH=amd64 or arm64
	@CGO_ENABLED=0 GOOS=linux GOARCH=$(or $(ARCH),amd64) go build -ldflags "-s -w -X main.version=$(VERSION)" -o $(BIN)/image/poolkeeper ./cmd/poolkeeper
	@go -C hack/ship run . sbom $(BIN)/image/sbom.json $(BIN)/image/poolkeeper
	@go -C hack/ship run . image $(BIN)/image.tar $(VERSION) $(BIN)/image/poolkeeper $(BIN)/image/sbom.json

race: build ## run every test with the race detector
	@$(TESTS) -race -timeout=2h ./... | $(SUM)

bench: build ## measure beside the floor; prints a table and writes JSON
	@go run ./test/bench

large: build ## bring 10,000 simulated machines up and down: their memory and heartbeats (about 20 minutes)
	@go run ./test/bench -parts large,rest -large 10000 -o ""

memory: build ## nodes go and come for FOR=1h, NODES=2000: memory must not grow
	@go run ./test/bench -parts churn -large $(or $(NODES),2000) -for $(or $(FOR),1h) -o ""

verify: ## generate everything again and fail on a difference
	@$(COMPILE) hack/verify

lint: vet ## go vet and staticcheck, the control plane's module too
	@$(TOOL) staticcheck ./...
	@cd plane && go vet ./...
	@cd plane && go tool -modfile=../hack/go.mod staticcheck ./...

vet:
	@files=$$(gofmt -l .); test -z "$$files" || { echo "not formatted, run gofmt -w:" $$files; exit 1; }
	@$(COMPILE) go vet ./...
	@for module in hack/testsum hack/ship; do go -C $$module vet ./... || exit 1; done

generate: ## write deep copies, CRDs, docs/faults.md and docs/metrics.md
	@$(MAKE) --no-print-directory generated OUT=.

# generated writes what is generated below OUT.
generated:
	@mkdir -p $(OUT)/config/crd $(OUT)/docs $(OUT)/api/v1alpha1
	@$(TOOL) controller-gen object paths=./api/... output:object:dir=$(OUT)/api/v1alpha1
	@$(TOOL) controller-gen crd paths=./api/... output:crd:dir=$(OUT)/config/crd
	@go run ./internal/faultdoc > $(OUT)/docs/faults.md.new && mv $(OUT)/docs/faults.md.new $(OUT)/docs/faults.md
	@go run ./internal/metricsdoc > $(OUT)/docs/metrics.md.new && mv $(OUT)/docs/metrics.md.new $(OUT)/docs/metrics.md
