# The four commands of this project; each installs what the machine lacks first (scripts/setup).
#
#   make dev     build, then start a local cluster with a demo (ARGS="--nodes 5" is passed on)
#   make test    every check that CI runs
#   make soak    the long tests and the planted bugs (hours)
#   make bench   every benchmark (ARGS=name for one)
#
# Build output goes to CARGO_TARGET_DIR, else ./target. Builds are of the whole workspace, always in the dev
# profile: one set of features, one build of RocksDB.

SHELL := /bin/bash
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
MAINSTAY := $(TARGET)/debug/mainstay
ARGS ?=

.PHONY: dev test soak bench setup
.DEFAULT_GOAL := dev

setup:
	@scripts/setup

dev: setup
	cargo build --workspace --bins
	@echo "mainstay is $(MAINSTAY)"
	@echo "in another terminal: export PATH=\"$(TARGET)/debug:\$$PATH\""
	@exec $(MAINSTAY) dev $(ARGS)

test: setup
	@cargo xtask ci

soak: setup
	@cargo xtask soak

bench:
	@scripts/setup bench
	@cargo xtask bench $(ARGS)
