# The only entrance to this repository. `make help` lists what there is.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO       ?= go
TOOL     := $(GO) tool -modfile=tools/go.mod
BIN      := bin
ARGS     ?=
FUZZTIME ?= 20s
# Where govulncheck finds its database: a URL, or file://DIR with a flat copy.
VULNDB   ?= https://vuln.go.dev

.PHONY: help build demo console test vet race long browser proof planted tools stores fuzz bench lint format static vuln tidy generate verify clean need-go need-cc need-node

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: need-go bundle ## build bin/tuoguan and bin/wxsim, static; with the console where Node is present
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN)/ ./cmd/...

# What the console is made from, and what is made of it.
SOURCES := $(shell find console -path '*/node_modules' -prune -o -type f -print 2>/dev/null) api/openapi.yaml
BUNDLE  := internal/console/dist/index.html

console: need-node ## build the console, which the next build of bin/tuoguan embeds
	rm -f $(BUNDLE)
	$(MAKE) --no-print-directory $(BUNDLE)

$(BUNDLE): $(SOURCES)
	cd console && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build

# The program works without its console, and says so on /console/.
.PHONY: bundle
bundle:
	@if command -v npm >/dev/null; then \
		$(MAKE) --no-print-directory $(BUNDLE) || echo "the console could not be built; going on without it" >&2; \
	else echo "npm is missing: building without the console (Debian: apt-get install nodejs npm)" >&2; fi

demo: build ## run the whole journey against the simulator; ARGS=--auto walks it unattended
	$(BIN)/tuoguan demo $(ARGS)

test: tools need-cc vet race long browser ## the whole test suite

vet: need-go
	$(GO) vet ./...

race: need-cc ## every test under the race detector; the long simulations run at a smaller size
	$(GO) test -race -timeout 20m ./...

long: need-go ## the long simulations (TestLong…) at full size, without the race detector
	LONG=1 $(GO) test -count=1 -timeout 20m -run '^TestLong' ./...

browser: ## the console in a browser: every journey and every page, with Debian's Chromium
	@for each in npm=npm chromium=chromium; do \
		command -v "$${each%=*}" >/dev/null && continue; \
		echo "######## $${each%=*} is missing: the console is NOT tested in a browser (Debian: apt-get install $${each#*=})" >&2; \
		[ -z "$${REQUIRE_TOOLS:-}" ] && exit 0 || exit 1; \
	done; \
	$(MAKE) --no-print-directory console build && cd console && npm run --silent texts && npm run --silent budget && npm run --silent journeys

# Programs that some tests need besides Go, and their Debian packages.
PROGRAMS = node=nodejs npm=npm curl=curl python3=python3 strace=strace mkfs.ext4=e2fsprogs mount=mount

# Databases and brokers that the suite starts by itself, from where their Debian packages put them.
DATABASES = /usr/lib/postgresql/*/bin/postgres=postgresql /usr/sbin/mariadbd=mariadb-server \
	/usr/bin/redis-server=redis-server /usr/sbin/nats-server=nats-server /usr/sbin/rabbitmq-server=rabbitmq-server

tools: ## say which programs are missing that some tests need
	@for each in $(PROGRAMS); do \
		command -v "$${each%=*}" >/dev/null && continue; \
		echo "$${each%=*} is missing: the tests that need it are skipped, or fail with REQUIRE_TOOLS=1 (Debian: apt-get install $${each#*=})" >&2; \
	done
	@for each in $(DATABASES); do \
		ls $${each%=*} >/dev/null 2>&1 && continue; \
		echo "$${each#*=} is missing: the tests on it are skipped, or fail with REQUIRE_STORES=1 (Debian: apt-get install --no-install-recommends $${each#*=})" >&2; \
	done

stores: need-cc ## the conformance suite on every store; a missing database is a failure
	REQUIRE_STORES=1 $(GO) test -race -count=1 -timeout 20m ./store/...

proof: need-go ## the proof in its short form: real processes killed, cut off and without power, and the simulation by seed
	$(GO) run ./cmd/tuoguan-proof --short
	$(GO) test -count=1 -timeout 20m -run '^TestProof' ./keeper

planted: need-go ## plant bugs and demand that the proof catches every one
	$(GO) run ./internal/proof/planted

fuzz: need-go ## every fuzz target for FUZZTIME (20s) each
	@$(GO) test -list '^Fuzz' ./... | awk '/^Fuzz/{names[n++]=$$1} /^ok/{for(i=0;i<n;i++) print $$2, names[i]; n=0}' | \
	while read -r package target; do \
		echo "== $$package $$target"; \
		$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package" </dev/null; \
	done

bench: need-go ## the benchmarks that report a ratio to a floor measured beside them
	$(GO) test -run '^$$' -bench '^Benchmark(Ratio|ServerStart)' -benchtime 2s -timeout 30m ./...

lint: format vet static tidy vuln ## gofmt, vet, staticcheck, golangci-lint, go.mod, known vulnerabilities

format: need-go
	@unformatted=$$(find . -name '*.go' -not -path './.git/*' -not -path '*/node_modules/*' -print0 | xargs -0 gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "gofmt -w would change:"; echo "$$unformatted"; exit 1; fi

static: need-go
	$(TOOL) staticcheck ./...
	$(TOOL) golangci-lint run

tidy: need-go
	$(GO) mod tidy -diff

# govulncheck exits 3 where it finds something, and 1 where it could not look.
vuln: need-go
	@code=0; $(TOOL) govulncheck -db $(VULNDB) ./... || code=$$?; \
	if [ $$code = 1 ]; then \
		echo "######## SKIPPED: govulncheck could not read its database at $(VULNDB)."; \
		echo "######## Known vulnerabilities were NOT looked for. Set VULNDB=file://DIR to a copy of it."; \
	elif [ $$code != 0 ]; then exit $$code; fi

# Tests that own golden files have the flag -update.
generate: need-go ## rewrite everything that is generated: golden files, generated code
	$(GO) generate ./...
	$(GO) test -count=1 $$(grep -rl --include='*_test.go' 'flag.Bool."update"' . | xargs -n1 dirname | sort -u) -update

verify: need-go ## regenerate everything and demand that nothing changes
	@before=$$(git status --porcelain; git diff | cksum); \
	$(MAKE) --no-print-directory generate; \
	after=$$(git status --porcelain; git diff | cksum); \
	if [ "$$before" != "$$after" ]; then \
		echo "generated files are out of date; commit what 'make generate' writes:"; git status --short; exit 1; \
	fi

clean: ## remove what was built
	rm -rf $(BIN) console/node_modules
	find internal/console/dist -mindepth 1 -not -name .gitkeep -delete

# The go directive in go.mod says which version is needed.
need-go:
	@command -v $(GO) >/dev/null || { echo "Go is missing. Install Go $$(awk '/^go /{print $$2}' go.mod) or newer: https://go.dev/dl/" >&2; exit 1; }
	@need=$$(awk '/^go /{print $$2}' go.mod); have=$$(GOTOOLCHAIN=local $(GO) env GOVERSION | sed 's/^go//; s/[- ].*//'); \
	if [ "$$(printf '%s\n%s\n' "$$need" "$$have" | sort -V | head -1)" != "$$need" ] && [ "$$($(GO) env GOTOOLCHAIN)" = local ]; then \
		echo "Go $$have is too old and GOTOOLCHAIN=local forbids fetching another; Go $$need or newer is needed: https://go.dev/dl/" >&2; exit 1; \
	fi

need-node:
	@command -v npm >/dev/null || { echo "Node and npm are missing (Debian: apt-get install nodejs npm; at least Node 20.19)" >&2; exit 1; }

# The race detector needs cgo and a C compiler; nothing else does.
need-cc: need-go
	@compiler=$$($(GO) env CC); command -v $${compiler%% *} >/dev/null || { \
		echo "the race detector needs a C compiler, and $$compiler is missing (Debian: apt-get install gcc libc6-dev)" >&2; exit 1; }
