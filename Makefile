# GVM: CUDA for Xen guests.  `make help` lists the targets.
# Every folder has a build.mk that says what it builds; objects go to $(BUILD), never into the tree.
SHELL := /bin/bash
.DEFAULT_GOAL := product
BUILD ?= build
NVCC ?= $(firstword $(shell command -v nvcc 2>/dev/null) $(wildcard /usr/local/cuda/bin/nvcc))
PYTHON ?= /usr/bin/python3

CC := gcc
# SAN=address,undefined (or thread) builds the same tree instrumented, into its own folder.
SAN ?=
ifneq ($(SAN),)
  SANFLAGS := -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=undefined
endif
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
        -Wvla -Wno-unused-parameter -Werror=implicit-function-declaration
CFLAGS ?= -O2 -g
GVM_CFLAGS = -std=gnu11 $(WARN) $(CFLAGS) $(SANFLAGS) -fstack-protector-strong -fstack-clash-protection \
             -fPIC -D_GNU_SOURCE -I. -Iprotocol -I$(BUILD)/gen -MMD -MP
GVM_LDFLAGS = $(SANFLAGS) -Wl,-z,relro,-z,now -Wl,--as-needed -pthread

# $(call objs,SOURCES) -> object files in $(BUILD)/obj
objs = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

# cuda.h, empty where there is none.
CUDA_INC := $(firstword $(wildcard $(patsubst %/bin/,%,$(dir $(realpath $(NVCC))))/include/cuda.h \
	/usr/local/cuda/include/cuda.h))

# What is installed, and what only tests run.
ALL :=
TEST_ALL :=
# $(call program,NAME,OBJECTS,LIBS) -> $(BUILD)/NAME
define program
ALL += $$(BUILD)/$(1)
$$(BUILD)/$(1): $(2)
	@mkdir -p $$(@D)
	$$(CC) $$(GVM_LDFLAGS) -o $$@ $(2) $(3)
endef

include protocol/build.mk
include $(sort $(wildcard xenstore-schema/build.mk dom0-backend/build.mk dom0-backend/*/build.mk \
	dom0-backend/device/*/build.mk libcudart-shim/build.mk domU-frontend/build.mk tools/build.mk tools/*/build.mk \
	tests/build.mk tests/*/build.mk packaging/build.mk docs/build.mk))

# Generated headers must exist before the first compile; dependency files take over afterwards.
$(BUILD)/obj/%.o: %.c | $(GENERATED)
	@mkdir -p $(@D)
	$(CC) $(GVM_CFLAGS) $(CFLAGS_$(subst /,_,$(patsubst %/,%,$(dir $<)))) -c -o $@ $<

# Nothing is intermediate: objects that only tests use are kept as well.
.SECONDARY:

product: $(ALL) ## all that is installed, as far as this machine can build it (the default)

all: $(ALL) $(TEST_ALL) ## that, and what tests run

clean: ## remove $(BUILD)
	rm -rf $(BUILD)

help: ## this list
	@echo 'make TARGET  (SAN=address,undefined BUILD=build/asan: instrumented)'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST) | sort -u

.PHONY: product all clean help
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
