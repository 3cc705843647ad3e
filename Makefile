# softnet: each target says what it does; `make` prints the list.
# Nothing here is needed to use the module: go run ./examples, go test ./... are enough.

GO      ?= go
TAGS    := witness invariants sched witness,invariants,sched
CROSS   := linux/arm64 linux/386 windows/amd64 darwin/arm64
FUZZFOR ?= 30s
TORTURE ?= 10s
COUNT   ?= 200

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: test
test: ## every test, as a user runs them
	$(GO) test ./...

.PHONY: race
race: ## every test under the race detector, which turns all checks on
	$(GO) test -race ./...

.PHONY: tagged
tagged: ## every test in each checked build: witness, invariants, sched
	@set -e; for t in $(TAGS); do echo "$(GO) test -tags $$t ./..."; $(GO) test -tags $$t ./...; done

.PHONY: explore
explore: ## every schedule of every small scenario, up to the preemption bound
	$(GO) test -tags sched -run Explore -v ./...

.PHONY: models
models: ## the protocols in Promela, right and with each seeded bug (needs spin and cc)
	$(GO) run ./internal/modelcheck

.PHONY: mutants
mutants: ## break the code in known ways: some test must notice each
	$(GO) run ./internal/mutants

.PHONY: torture
torture: ## run everything against everything for TORTURE=10s a scenario
	$(GO) run ./internal/torture -all -for $(TORTURE)

.PHONY: bench
bench: ## the speed table: each room beside its peer, in one run
	$(GO) run ./bench

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZFOR=30s
	@set -e; for pkg in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$(GO) test -fuzz ^$$f\$$ -fuzztime $(FUZZFOR) $$pkg"; \
			$(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZFOR) $$pkg; \
		done; \
	done

.PHONY: lint
lint: cross ## the rules of the house, gofmt among them; vet in every build; staticcheck
	$(GO) vet ./...
	@set -e; for t in $(TAGS); do echo "$(GO) vet -tags $$t ./..."; $(GO) vet -tags $$t ./...; done
	GOWORK=off $(GO) tool -modfile=tools/go.mod staticcheck -matrix ./... < tools/staticcheck.matrix
	$(GO) test ./internal/lint

.PHONY: cross
cross: ## vet for the other systems and word sizes we promise
	@set -e; for p in $(CROSS); do echo "$$p: $(GO) vet ./..."; GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0 $(GO) vet ./...; done

.PHONY: examples
examples: ## run every lesson
	@set -e; for f in examples/*/lesson.go; do d=$${f%/lesson.go}; $(GO) run ./examples run $${d##*/}; done

.PHONY: screenshots
screenshots: ## the pictures of docs/img, of pages as they are now (needs chromium)
	@set -e; dir=$$(mktemp -d); $(GO) run ./examples render -o $$dir; mkdir -p docs/img; \
	shot() { chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=$$3 --screenshot=docs/img/$$1.png "file://$$dir/$$2" 2>/dev/null; }; \
	shot gallery index.html 1280,670; shot psref-hold 'psref-hold.html#end' 1280,700; shot bulk-demotion 'bulk-demotion.html#end' 1280,900; rm -r $$dir

.PHONY: update
update: ## rewrite golden files; read the diff before you commit it
	$(GO) test $$(grep -rl --include='*_test.go' 'flag.Bool("update"' . | xargs -n1 dirname | sort -u) -update

.PHONY: flake
flake: ## the floor of the house, COUNT=200 times under the race detector
	$(GO) test -race -count=$(COUNT) ./lwp ./pserialize ./psref
