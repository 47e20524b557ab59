# Fuzz targets: every tests/fuzz/fuzz_NAME.c becomes $(BUILD)/fuzz/fuzz_NAME (clang: libFuzzer,
# AddressSanitizer, UBSan). Set here or in the build.mk of the folder under test:
#   FUZZ_NAME_OBJS  what it fuzzes, as the objects of the normal build; instrumented twins are made
#   FUZZ_NAME_LIBS  libraries
#   FUZZ_NAME_SEEDS folders of seeds beside tests/fuzz/seeds/NAME; FUZZ_NAME_DICT a dictionary
#   FUZZ_NAME_FACTOR how many times FUZZ_SECONDS it runs, 1 if not set
# `make test-fuzz` runs all of them for FUZZ_SECONDS each, two at a time; FUZZ="drain" chooses.
FUZZ_CC := $(firstword $(shell command -v clang-14 clang 2>/dev/null))
FUZZ_SECONDS ?= 30
FUZZ_ALL := $(filter-out $(if $(CUDA_INC),,image) $(if $(LLVM_CONFIG),,ptxjit),$(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c)))
FUZZ ?= $(FUZZ_ALL)
# Operators without branches are meant as they are written (lanes side by side; hints that are all read).
FUZZ_CFLAGS = -std=gnu11 -O1 -g -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=undefined -fno-omit-frame-pointer -D_GNU_SOURCE -DGVM_FUZZ \
	-Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers \
	-Wno-bitwise-instead-of-logical -Wno-bitwise-conditional-parentheses \
	-I. -Iprotocol -I$(BUILD)/gen -include tests/fuzz/hook.h -MMD -MP
FUZZ_HARNESS := $(call objs,tests/fuzz/hook.c tests/fuzz/mutate.c)

# The instrumented twin of an object of the normal build.
fuzz_objs = $(patsubst $(BUILD)/obj/%,$(BUILD)/fuzz/obj/%,$(sort $(1)))

FUZZ_drain_OBJS = $(WORKER_OBJS) $(call objs,tests/unit/mock_dev.c)
FUZZ_drain_LIBS = $(WORKER_LIBS)
FUZZ_drain_SEEDS = $(BUILD)/gen/seeds/rec
FUZZ_drain_DICT = $(BUILD)/gen/seeds/rec.dict

FUZZ_ctl_OBJS = $(call objs,dom0-backend/broker/ctlring.c) $(PROTO_CTL_OBJS)
FUZZ_ctl_SEEDS = $(BUILD)/gen/seeds/ctl
FUZZ_ctl_DICT = $(BUILD)/gen/seeds/ctl.dict

FUZZ_grants_OBJS = $(FUZZ_ctl_OBJS)
FUZZ_grants_SEEDS = $(BUILD)/gen/seeds/dir

# xs.c without libxenstore, which fuzz_xs.c plays.
FUZZ_xs_OBJS = $(call objs,dom0-backend/agent/spec.c dom0-backend/common/xs.c xenstore-schema/check.c \
	$(BUILD)/gen/vgpu_schema.c)
FUZZ_conf_OBJS = $(AGENT_PURE_OBJS)
FUZZ_trace_OBJS = $(call objs,tools/gvm/trace_show.c) $(PROTO_TRACE_OBJS)
FUZZ_trace_DICT = $(BUILD)/gen/seeds/rec.dict

# Seeds are states of programs, where there is a compiler for those.
FUZZ_state_OBJS = $(WORKER_OBJS) $(PTX_BASE_OBJS) $(PTX_DEV_OBJS)
FUZZ_state_LIBS = $(WORKER_LIBS) $(PTX_LIBS)
FUZZ_state_SEEDS = $(BUILD)/fuzz/seeds/state
$(BUILD)/fuzz/seeds/state/done: tests/fuzz/state_seeds.py $(BUILD)/gvm-worker $(BUILD)/gvm-backd \
		$(wildcard $(BUILD)/conformance/parked)
	@mkdir -p $(@D)
	@if [ -x $(BUILD)/conformance/parked ]; then $(PYTHON) $< $(BUILD) $(@D); \
		else echo "fuzz state: no seeds, as there are no CUDA programs"; fi
	@touch $@
$(BUILD)/fuzz/fuzz_state: | $(BUILD)/fuzz/seeds/state/done

$(BUILD)/fuzz/obj/gen/%.o: $(BUILD)/gen/%.c | $(GENERATED)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_CFLAGS) -c -o $@ $<

$(BUILD)/fuzz/obj/%.o: %.c | $(GENERATED)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_CFLAGS) $(CFLAGS_$(subst /,_,$(patsubst %/,%,$(dir $<)))) -c -o $@ $<

.SECONDEXPANSION:
$(BUILD)/fuzz/fuzz_%: $(BUILD)/fuzz/obj/tests/fuzz/fuzz_%.o \
		$$(call fuzz_objs,$(FUZZ_HARNESS) $$(FUZZ_$$*_OBJS))
	@mkdir -p $(@D)
	$(FUZZ_CC) -fsanitize=fuzzer,address,undefined -pthread -o $@ $^ $(FUZZ_$*_LIBS)

# storm_NAME: long sessions for the same target, with a main() of its own; FUZZ_NAME_STORM records at
# least, or the run has failed.
FUZZ_drain_STORM := 1000000
FUZZ_STORMS := $(patsubst tests/fuzz/storm_%.c,%,$(wildcard tests/fuzz/storm_*.c))
$(BUILD)/fuzz/storm_%: $(BUILD)/fuzz/obj/tests/fuzz/storm_%.o $(BUILD)/fuzz/obj/tests/fuzz/fuzz_%.o \
		$$(call fuzz_objs,$(FUZZ_HARNESS) $$(FUZZ_$$*_OBJS))
	@mkdir -p $(@D)
	$(FUZZ_CC) -fsanitize=fuzzer-no-link,address,undefined -pthread -o $@ $^ $(FUZZ_$*_LIBS)

fuzz-programs: $(addprefix $(BUILD)/fuzz/storm_,$(filter $(FUZZ_STORMS),$(FUZZ)))
fuzz-programs: $(addprefix $(BUILD)/fuzz/fuzz_,$(FUZZ)) ; @:

test-fuzz: ## fuzz targets, FUZZ_SECONDS each; FUZZ="NAME..." chooses
	@+$(MAKE) --no-print-directory -k fuzz-programs || true
	@$(PYTHON) tests/fuzz/run.py $(BUILD) $(FUZZ_SECONDS) \
		$(foreach n,$(FUZZ),'$(n):$(FUZZ_$(n)_FACTOR):$(FUZZ_$(n)_DICT):$(FUZZ_$(n)_STORM):$(FUZZ_$(n)_SEEDS)')

-include $(shell find $(BUILD)/fuzz/obj -name '*.d' 2>/dev/null)
.PHONY: test-fuzz fuzz-programs
