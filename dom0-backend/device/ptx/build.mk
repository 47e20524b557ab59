# The software device. PTX_CORE_SRCS: PTX front end and interpreter; PTX_DEV_SRCS: what makes a
# device of them. Programs link $(PTX_OBJS) with $(PTX_LIBS).
# PTX_OPS_SRCS, the micro-op handlers, are compiled twice: for plain x86-64 and for AVX2.
PTX_OPS_SRCS := ops_atom.c ops_bits.c ops_check.c ops_cmp.c ops_cvt.c ops_fp.c ops_half.c ops_int.c ops_mem.c \
	ops_misc.c ops_matrix.c ops_mbarrier.c ops_mma.c ops_small.c ops_tex.c ops_vec.c ops_video.c ops_warp.c
PTX_CORE_SRCS := barrier.c builtin.c cfg.c cta.c handlers.c interp.c jit_run.c lex.c lower.c lower_alu.c \
	lower_ctl.c lower_cvt.c lower_matrix.c lower_mbarrier.c lower_mem.c lower_mma.c lower_prog.c lower_small.c lower_tex.c lower_video.c module.c optable.c parse.c parse_fn.c parse_sym.c parse_var.c pool.c texture.c $(PTX_OPS_SRCS)
PTX_CORE_SRCS += jit_cache.c lower_flat.c target.c
PTX_DEV_SRCS := arena.c call.c device.c device_array.c device_copy.c device_crew.c device_func.c device_graph.c device_info.c device_jit.c device_link.c device_mem.c \
	device_module.c device_output.c device_texture.c device_thread.c event.c fatbin.c stream.c stream_op.c
PTX_DEV_SRCS += arena_map.c arena_state.c device_state.c arena_share.c memop.c device_pool.c device_share.c device_vmm.c

PTX_BASE_OBJS := $(call objs,$(addprefix dom0-backend/device/ptx/,$(PTX_CORE_SRCS)))
PTX_OPS_OBJS := $(call objs,$(addprefix dom0-backend/device/ptx/,$(PTX_OPS_SRCS)))
PTX_AVX2_OBJS := $(PTX_OPS_OBJS:.o=.avx2.o)
PTX_CORE_OBJS := $(PTX_BASE_OBJS) $(PTX_AVX2_OBJS)
# Exact arithmetic: no contraction; the vectoriser may assume that nothing traps. Registers are
# read as what the instruction says, so no aliasing by type.
PTX_OPS_CFLAGS := -O3 -ffp-contract=off -fno-math-errno -fno-trapping-math -fno-strict-aliasing \
	-Wno-missing-prototypes
$(PTX_BASE_OBJS) $(PTX_AVX2_OBJS): GVM_CFLAGS += -fno-strict-aliasing
$(PTX_OPS_OBJS): GVM_CFLAGS += $(PTX_OPS_CFLAGS)
$(PTX_AVX2_OBJS): $(BUILD)/obj/%.avx2.o: %.c | $(GENERATED)
	@mkdir -p $(@D)
	$(CC) $(GVM_CFLAGS) $(PTX_OPS_CFLAGS) -mavx2 -mfma -mf16c -mbmi -mbmi2 -mlzcnt -mpopcnt \
		-DPTX_ISA=avx2 -c -o $@ $<
$(eval $(call program,ptxrun,$$(call objs,dom0-backend/device/ptx/ptxrun.c) $$(PTX_CORE_OBJS),-lm))
PTX_DEV_OBJS := $(call objs,$(addprefix dom0-backend/device/ptx/,$(PTX_DEV_SRCS)))
# Nothing to link before the interpreter is there.
PTX_OBJS := $(if $(PTX_CORE_SRCS),$(PTX_CORE_OBJS) $(PTX_DEV_OBJS))
PTX_LIBS := -lzstd -llz4 -lm

# The compiler, a plug-in that the device loads when it is there: built where LLVM's C interface is
# installed (package llvm-dev), not in instrumented trees. It shares struct layouts with the interpreter, and its allocator.
LLVM_CONFIG ?= $(firstword $(shell command -v llvm-config llvm-config-14 llvm-config-15 2>/dev/null))
PTX_JIT := $(if $(SAN),,$(if $(LLVM_CONFIG),$(BUILD)/gvm-ptx-jit.so))
PTX_JIT_SRCS := alu.c alu_fp.c alu_int.c alu_warp.c decode.c flow.c gen.c gen_value.c handled.c llvm.c mem.c mem_any.c mem_apart.c mem_atom.c
PTX_LLVM_OBJS := $(call objs,$(addprefix dom0-backend/device/ptx/jit/,$(PTX_JIT_SRCS)))
PTX_JIT_OBJS := $(PTX_LLVM_OBJS) $(call objs,dom0-backend/device/ptx/pool.c)
ifneq ($(PTX_JIT),)
ALL += $(PTX_JIT)
$(PTX_LLVM_OBJS): \
	GVM_CFLAGS += -isystem $(shell $(LLVM_CONFIG) --includedir) -fvisibility=hidden -fno-strict-aliasing
$(PTX_JIT): $(PTX_JIT_OBJS)
	@mkdir -p $(@D)
	$(CC) $(GVM_LDFLAGS) -shared -o $@ $^ -L$(shell $(LLVM_CONFIG) --libdir) $(shell $(LLVM_CONFIG) --libs core)
endif

# Unit tests: tests/unit/test_dev_*.c, with kernels that the compiler makes where there is one;
# tests say so and skip what needs them where there is none.
DEV_TEST_MODES := none speed balance size default
DEV_TEST_DATA := $(if $(NVCC),$(patsubst %,$(BUILD)/unit/data/vecadd-%.fatbin,$(DEV_TEST_MODES)))
DEV_TEST_OBJS = $(PTX_DEV_OBJS) $(PTX_CORE_OBJS) $(COMMON_OBJS)

$(DEV_TEST_DATA): $(BUILD)/unit/data/vecadd-%.fatbin: tests/unit/data/vecadd.cu
	@mkdir -p $(@D)
	$(NVCC) -fatbin -gencode arch=compute_75,code=[sm_75,compute_75] \
		$(if $(filter-out default,$*),-compress-mode=$*) -o $@ $<

UNIT_dev_arena_OBJS = $(call objs,dom0-backend/device/ptx/arena.c dom0-backend/device/ptx/arena_map.c dom0-backend/device/ptx/arena_share.c)
UNIT_dev_fatbin_OBJS = $(call objs,dom0-backend/device/ptx/fatbin.c dom0-backend/device/ptx/target.c)
UNIT_dev_fatbin_LIBS = $(PTX_LIBS)
UNIT_dev_fatbin_NEEDS = $(DEV_TEST_DATA)
UNIT_dev_streams_OBJS = $(DEV_TEST_OBJS)
UNIT_dev_streams_LIBS = $(PTX_LIBS)
UNIT_dev_kernels_OBJS = $(DEV_TEST_OBJS)
UNIT_dev_kernels_LIBS = $(PTX_LIBS)
UNIT_dev_kernels_NEEDS = $(DEV_TEST_DATA)

FUZZ_fatbin_OBJS = $(call objs,dom0-backend/device/ptx/fatbin.c dom0-backend/device/ptx/target.c)
FUZZ_fatbin_LIBS = $(PTX_LIBS)
FUZZ_fatbin_SEEDS = $(if $(DEV_TEST_DATA),$(BUILD)/unit/data)
$(BUILD)/fuzz/fuzz_fatbin: | $(DEV_TEST_DATA)

# Unit tests of the front end and the interpreter: PTX text in, results out.
PTX_TEST_OBJS = $(PTX_CORE_OBJS) $(call objs,tests/unit/ptx_fixture.c)
UNIT_ptx_parse_OBJS = $(PTX_TEST_OBJS)
UNIT_ptx_check_OBJS = $(PTX_TEST_OBJS)
UNIT_ptx_check_LIBS = -lm
UNIT_ptx_hostile_OBJS = $(PTX_TEST_OBJS)
UNIT_ptx_hostile_LIBS = -lm
UNIT_ptx_parse_LIBS = -lm
UNIT_ptx_warp_OBJS = $(PTX_TEST_OBJS)
UNIT_ptx_warp_LIBS = -lm
UNIT_ptx_exec_OBJS = $(PTX_TEST_OBJS)
UNIT_ptx_exec_LIBS = -lm
UNIT_ptx_jit_OBJS = $(PTX_TEST_OBJS) $(call objs,tests/ptx/randprog.c tests/ptx/randcall.c)
UNIT_ptx_jit_LIBS = -lm
UNIT_ptx_jit_NEEDS = $(PTX_JIT)
UNIT_ptx_wide_OBJS = $(PTX_TEST_OBJS)
UNIT_ptx_wide_LIBS = -lm
UNIT_ptx_wide_NEEDS = $(PTX_JIT)
UNIT_ptx_tex_OBJS = $(PTX_TEST_OBJS)
UNIT_ptx_tex_LIBS = -lm
# What guests write is walked, parsed, verified, interpreted and compiled for a minute each.
FUZZ_fatbin_FACTOR = 2
FUZZ_ptxparse_FACTOR = 2
FUZZ_ptx_FACTOR = 2
FUZZ_ptxjit_FACTOR = 2
FUZZ_ptxparse_OBJS = $(PTX_BASE_OBJS)
FUZZ_ptxparse_LIBS = -lm
FUZZ_ptxparse_SEEDS = tests/fuzz/seeds/ptx
# The plain handlers alone: the AVX2 twins are the same source.
FUZZ_ptx_OBJS = $(PTX_BASE_OBJS)
FUZZ_ptx_LIBS = -lm
# The compiler linked in, instrumented as well.
FUZZ_ptxjit_OBJS = $(PTX_BASE_OBJS) $(PTX_LLVM_OBJS)
FUZZ_ptxjit_LIBS = -L$(shell $(LLVM_CONFIG) --libdir) $(shell $(LLVM_CONFIG) --libs core) -lm
FUZZ_ptxjit_SEEDS = tests/fuzz/seeds/ptx
$(PTX_LLVM_OBJS:$(BUILD)/obj/%=$(BUILD)/fuzz/obj/%): FUZZ_CFLAGS += -isystem $(shell $(LLVM_CONFIG) --includedir)
