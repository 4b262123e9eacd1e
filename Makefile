# The commands of the project; `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
export CCACHE_DIR ?= $(CURDIR)/build/ccache

help: ## this text
	@echo "Towline: tows an execution client along an OP Stack chain without deriving from L1."
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install the Debian packages that are missing (as root)
	@scripts/deps.sh

configure: deps
	@scripts/configure.sh release

build: configure ## all programs, in build/release/bin
	@cmake --build build/release -j $(JOBS) --target programs

build-all: configure
	@cmake --build build/release -j $(JOBS)

demo: build ## tow a simulated client along a simulated chain: about 75 seconds once built
	@build/release/bin/towline demo

test: build-all ## every test: units, real processes, real nodes
	@scripts/test.sh all

test-quick: build-all ## unit tests only: under a minute once built, no network, no peers
	@scripts/test.sh quick

bench: build-all ## measure against a real client; prints a table, writes JSON
	@tools/bench/run.sh

format: deps ## format the C++ sources
	@git ls-files '*.hpp' '*.cpp' | xargs clang-format-14 -i

lint: deps ## layers, format, protos, and a configure run without tests
	@scripts/lint.sh

tidy: deps ## clang-tidy on what changed since the newest tag, or on core/
	@scripts/tidy.sh

sanitized: deps ## the tests of the pure layer under ASan and UBSan, in build/asan
	@scripts/sanitize.sh

fuzz: deps ## each fuzz target for FUZZ_SECONDS (60)
	@cmake --preset fuzz >/dev/null && cmake --build build/fuzz -j $(JOBS)
	@tests/fuzz/run.sh $${FUZZ_SECONDS:-60}

install: build ## programs to PREFIX/bin
	@for part in programs devnet; do cmake --install build/release --prefix $(PREFIX) --component $$part >/dev/null || exit 1; done && ls $(PREFIX)/bin

package: build ## Debian packages of the programs, in build/release/packages
	@/usr/bin/python3 scripts/pages.py build/release/bin build/release/pages
	@cd build/release && rm -rf packages && cpack >/dev/null && ls packages/*.*deb

release: build ## archive, packages, SBOM and checksums, in build/dist
	@scripts/release.sh

test-package: package ## install, upgrade and purge the packages in a root of their own (as root; needs a Debian mirror)
	@tests/package/run.sh

.PHONY: tidy sanitized package release test-package help deps configure build build-all demo test test-quick bench format lint fuzz install
