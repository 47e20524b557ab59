# The software device. PTX_CORE_SRCS: PTX front end and interpreter; PTX_DEV_SRCS: what makes a
# device of them. Programs link $(PTX_OBJS) with $(PTX_LIBS).
PTX_CORE_SRCS :=
PTX_DEV_SRCS := arena.c device.c device_crew.c device_func.c device_info.c device_mem.c \
	device_module.c device_output.c device_thread.c event.c fatbin.c stream.c stream_op.c

PTX_CORE_OBJS := $(call objs,$(addprefix dom0-backend/device/ptx/,$(PTX_CORE_SRCS)))
PTX_DEV_OBJS := $(call objs,$(addprefix dom0-backend/device/ptx/,$(PTX_DEV_SRCS)))
# Nothing to link before the interpreter is there.
PTX_OBJS := $(if $(PTX_CORE_SRCS),$(PTX_CORE_OBJS) $(PTX_DEV_OBJS))
PTX_LIBS := -lzstd -llz4 -lm

# Unit tests: tests/unit/test_dev_*.c, with kernels that the compiler makes where there is one;
# tests say so and skip what needs them where there is none.
DEV_TEST_MODES := none speed balance size default
DEV_TEST_DATA := $(if $(NVCC),$(patsubst %,$(BUILD)/unit/data/vecadd-%.fatbin,$(DEV_TEST_MODES)))
DEV_TEST_OBJS = $(PTX_DEV_OBJS) $(PTX_CORE_OBJS) $(COMMON_OBJS)

$(DEV_TEST_DATA): $(BUILD)/unit/data/vecadd-%.fatbin: tests/unit/data/vecadd.cu
	@mkdir -p $(@D)
	$(NVCC) -fatbin -gencode arch=compute_75,code=[sm_75,compute_75] \
		$(if $(filter-out default,$*),-compress-mode=$*) -o $@ $<

UNIT_dev_arena_OBJS = $(call objs,dom0-backend/device/ptx/arena.c)
UNIT_dev_fatbin_OBJS = $(call objs,dom0-backend/device/ptx/fatbin.c)
UNIT_dev_fatbin_LIBS = $(PTX_LIBS)
UNIT_dev_fatbin_NEEDS = $(DEV_TEST_DATA)
UNIT_dev_streams_OBJS = $(DEV_TEST_OBJS)
UNIT_dev_streams_LIBS = $(PTX_LIBS)
UNIT_dev_kernels_OBJS = $(DEV_TEST_OBJS)
UNIT_dev_kernels_LIBS = $(PTX_LIBS)
UNIT_dev_kernels_NEEDS = $(DEV_TEST_DATA)

FUZZ_fatbin_OBJS = $(call objs,dom0-backend/device/ptx/fatbin.c)
FUZZ_fatbin_LIBS = $(PTX_LIBS)
FUZZ_fatbin_SEEDS = $(if $(DEV_TEST_DATA),$(BUILD)/unit/data)
$(BUILD)/fuzz/fuzz_fatbin: | $(DEV_TEST_DATA)
