# Benchmarks. The programs hold code for sm_90 and PTX for everything else, the software device
# among it; they are linked with -cudart shared and run natively as well as through GVM.
ifneq ($(NVCC),)
BENCH := $(addprefix $(BUILD)/bench/,micro programs launches counts share)
BENCH_ARCH := -gencode arch=compute_90,code=sm_90 -gencode arch=compute_75,code=compute_75

$(BUILD)/bench/%: tests/bench/%.cu tests/bench/bench.h
	@mkdir -p $(@D)
	$(NVCC) -w -O2 -cudart shared $(BENCH_ARCH) -o $@ $<

ifeq ($(SAN),)
TEST_ALL += $(BENCH)
endif
endif

# BENCH_OPTIONS: see tests/bench/bench.py --help
BENCH_OPTIONS ?=
bench-gpu: all ## every measure natively and through GVM on this machine's NVIDIA GPU
	@$(PYTHON) tests/bench/bench.py gpu --build $(BUILD) $(BENCH_OPTIONS)

bench-local: all ## what the path itself costs for each call, on the software device
	@$(PYTHON) tests/bench/bench.py local --build $(BUILD) $(BENCH_OPTIONS)

bench-share: all ## how several guests share this machine's NVIDIA GPU
	@$(PYTHON) tests/bench/share.py --build $(BUILD) $(BENCH_OPTIONS)

test-instructions: all ## instructions of the guest for one launch
	@$(PYTHON) tests/bench/instructions.py $(BUILD)

test-bench: all ## the benchmark harness itself
	@$(PYTHON) tests/bench/test_bench.py $(BUILD)

.PHONY: test-bench bench-share bench-gpu bench-local test-instructions

# The software device against PoCL (packages pocl-opencl-icd, ocl-icd-opencl-dev): installed by this
# target where they are missing, as nothing else needs them.
$(BUILD)/bench/ptx.ptx: tests/bench/ptx/kernels.h
	@mkdir -p $(@D)
	$(NVCC) -x cu -ptx -O3 -arch=compute_75 -o $@ $<

$(BUILD)/bench/plain.o: tests/bench/ptx/plain.c tests/bench/ptx/plain.h
	@mkdir -p $(@D)
	$(CC) $(GVM_CFLAGS) -O3 -march=native -fno-strict-aliasing -c -o $@ $<

$(BUILD)/bench/bench_ptx: tests/bench/ptx/bench_ptx.c $(BUILD)/bench/plain.o $(PTX_CORE_OBJS)
	@mkdir -p $(@D)
	[ -e /usr/include/CL/cl.h ] && [ -e /etc/OpenCL/vendors/pocl.icd ] || \
		apt-get install -y --no-install-recommends pocl-opencl-icd ocl-icd-opencl-dev
	$(CC) $(GVM_CFLAGS) $(GVM_LDFLAGS) -MF $@.d -o $@ $^ -lOpenCL -lm

BENCH_ROUNDS ?= 9
bench-ptx: $(BUILD)/bench/bench_ptx $(BUILD)/bench/ptx.ptx $(PTX_JIT) ## the software device against PoCL
	$(BUILD)/bench/bench_ptx $(BUILD)/bench/ptx.ptx tests/bench/ptx/kernels.h $(BENCH_ROUNDS)

# How it grows with threads. Needs no PoCL: the program and ptx.ptx can be carried elsewhere.
$(BUILD)/bench/bench_cores: tests/bench/ptx/bench_cores.c $(DEV_TEST_OBJS)
	@mkdir -p $(@D)
	$(CC) $(GVM_CFLAGS) $(GVM_LDFLAGS) -MF $@.d -o $@ $^ $(PTX_LIBS)

bench-cores: $(BUILD)/bench/bench_cores $(BUILD)/bench/ptx.ptx $(PTX_JIT) ## the software device with 1, 2, 4 ... threads
	$(BUILD)/bench/bench_cores $(BUILD)/bench/ptx.ptx $(BENCH_ROUNDS)

.PHONY: bench-ptx bench-cores
