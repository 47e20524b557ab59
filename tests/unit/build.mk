# Unit tests: every tests/unit/test_NAME.c becomes $(BUILD)/unit/test_NAME (cmocka), every
# test_NAME.py is run as it is (unittest). What a C test links beside itself:
#   UNIT_NAME_OBJS  objects      UNIT_NAME_LIBS  libraries      UNIT_NAME_CFLAGS
#   UNIT_NAME_NEEDS other programs that must be there first
# Set them here or in the build.mk of the folder under test. `make test-unit` runs all of them;
# `make test-unit UNIT="decode worker_drain"` some. With SAN= and its own BUILD= the same,
# instrumented.
UNIT_SRCS := $(wildcard tests/unit/test_*.c)
UNIT_PY := $(wildcard tests/unit/test_*.py)
UNIT ?= $(patsubst tests/unit/test_%.c,%,$(UNIT_SRCS)) $(patsubst tests/unit/test_%.py,%,$(UNIT_PY))
UNIT_PROGRAMS := $(patsubst %,$(BUILD)/unit/test_%,$(filter \
	$(patsubst tests/unit/test_%.c,%,$(UNIT_SRCS)),$(UNIT)))

WORKER_FIXTURE_OBJS = $(WORKER_OBJS) $(PROTO_STUB_OBJS) \
	$(call objs,tests/unit/worker_fixture.c tests/unit/mock_dev.c)
MOCK_WORKER := $(BUILD)/unit/gvm-worker-mock

UNIT_decode_OBJS := $(PROTO_STUB_OBJS) $(PROTO_DECODE_OBJS) $(PROTO_TRACE_OBJS)
UNIT_worker_drain_OBJS = $(WORKER_FIXTURE_OBJS)
UNIT_worker_drain_LIBS = $(WORKER_LIBS)
UNIT_worker_calls_OBJS = $(WORKER_FIXTURE_OBJS)
UNIT_worker_calls_LIBS = $(WORKER_LIBS)
UNIT_worker_gate_OBJS = $(WORKER_FIXTURE_OBJS)
UNIT_worker_gate_LIBS = $(WORKER_LIBS)
UNIT_worker_share_OBJS = $(WORKER_FIXTURE_OBJS)
UNIT_worker_share_LIBS = $(WORKER_LIBS)
UNIT_worker_trace_OBJS = $(WORKER_FIXTURE_OBJS)
UNIT_worker_trace_LIBS = $(WORKER_LIBS)
UNIT_worker_confine_OBJS = $(WORKER_OBJS)
UNIT_worker_confine_LIBS = $(WORKER_LIBS)
UNIT_worker_enter_OBJS = $(call objs,dom0-backend/worker/enter.c) $(COMMON_OBJS)
UNIT_worker_process_OBJS = $(COMMON_OBJS)
UNIT_worker_process_NEEDS = $(MOCK_WORKER)

# Variables of folders that are read later count too, so the prerequisites are expanded late.
.SECONDEXPANSION:
$(BUILD)/unit/test_%: $(BUILD)/obj/tests/unit/test_%.o $$(sort $$(UNIT_$$*_OBJS)) | $$(UNIT_$$*_NEEDS)
	@mkdir -p $(@D)
	$(CC) $(GVM_LDFLAGS) -o $@ $^ -lcmocka $(UNIT_$*_LIBS)

$(BUILD)/obj/tests/unit/test_%.o: tests/unit/test_%.c | $(GENERATED)
	@mkdir -p $(@D)
	$(CC) $(GVM_CFLAGS) $(UNIT_$*_CFLAGS) -c -o $@ $<

$(MOCK_WORKER): $$(WORKER_MAIN_OBJS) $$(WORKER_OBJS) $$(call objs,tests/unit/mock_dev.c)
	@mkdir -p $(@D)
	$(CC) $(GVM_LDFLAGS) -o $@ $^ $(WORKER_LIBS)

unit-programs: $(UNIT_PROGRAMS) ; @:

# A test that does not build fails alone: the others still run.
test-unit: ## unit tests; UNIT="NAME..." chooses
	@+$(MAKE) --no-print-directory -k unit-programs || true
	@$(PYTHON) tests/unit/run.py $(BUILD) $(UNIT)

.PHONY: test-unit unit-programs
