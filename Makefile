CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=

# Where rustup puts cargo; a shell that has not read ~/.profile lacks it.
export PATH := $(PATH):$(HOME)/.cargo/bin

static_target := x86_64-unknown-linux-musl

# The order of prerequisites counts: packages, then parts, then the build.
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help deps build image demo test test-kubernetes faults fuzz soak bench lint install uninstall clean wasmedge parts

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## Install the Debian packages and Rust targets that are missing
	@deploy/deps.sh

build: wasmedge ## Build the shim, its helpers and the tools into target/dist
	$(CARGO) build --release --locked -p containerd-shim-wasm -p wasm-content --target $(static_target)
	$(CARGO) build --release --locked -p wasm-zygote
	$(CARGO) build --release --locked -p wasm-oci -p wasm-node-installer --target $(static_target)
	@deploy/stage.sh

image: build ## Make the image of the node installer, target/wasm-node-installer.tar
	@deploy/image.sh

demo: deps build parts ## Run WebAssembly in a private containerd and show what happens
	$(CARGO) run --release --locked -p shim-test --bin demo

test: deps build parts ## Run all tests, on private containerds of each supported series
	$(CARGO) test --workspace --locked

test-kubernetes: deps build parts ## Run the tests on a Kubernetes of one node (its programs are built first, which takes long)
	@test/kubernetes/build.sh
	$(CARGO) test --locked -p shim-test --test kubernetes

faults: deps build parts ## Break things in each way, 20 times in a row (FAULT_ROUNDS)
	FAULT_ROUNDS=$(or $(FAULT_ROUNDS),20) $(CARGO) test --locked -p shim-test --test faults

fuzz: deps ## Fuzz what is read from config.json, modules, sockets: 10 minutes each (FUZZ_SECONDS)
	@fuzz/run.sh

soak: deps build parts ## Containers 16 at a time with random faults, 10 minutes (SOAK_SECONDS)
	$(CARGO) run --release --locked -p shim-test --bin soak

bench: deps build parts ## Measure starts, memory and work beside runc and runwasi (30 minutes)
	@test/bench/build.sh
	SHIM_TEST_LOG_LEVEL=info $(CARGO) run --release --locked -p shim-bench

lint: deps wasmedge ## Check format, clippy and shell scripts
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) check --quiet --locked --manifest-path fuzz/Cargo.toml --target-dir target/fuzz/check
	@if command -v shellcheck >/dev/null; then \
		find .ci deploy fuzz test -type f \( -name '*.sh' -o -path .ci/run \) -exec shellcheck {} +; \
	else echo "lint: shellcheck is not installed, scripts are not checked"; fi

install: ## Install what was built below DESTDIR and PREFIX (/usr/local)
	@deploy/stage.sh "$(DESTDIR)$(PREFIX)"

uninstall: ## Remove what install put there
	rm -rf "$(DESTDIR)$(PREFIX)/lib/containerd-shim-wasm"
	rm -f "$(DESTDIR)$(PREFIX)/bin/containerd-shim-wasm-v1"
	rm -f "$(DESTDIR)$(PREFIX)/bin/wasm-oci" "$(DESTDIR)$(PREFIX)/bin/wasm-node-installer"

clean: ## Remove all that was built and fetched
	rm -rf target

# What the build links and target/dist carries.
wasmedge:
	@deploy/fetch-wasmedge.sh

# What demo and test run: containerds, Docker Engines, programs of others, and our own guests.
parts:
	@deploy/fetch-containerd.sh
	@deploy/fetch-docker.sh
	@deploy/fetch-debs.sh --only bookworm target/parts/registry docker-registry
	@test/programs/fetch.sh
	@test/guests/build.sh
