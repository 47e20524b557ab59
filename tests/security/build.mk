# What the confinement and docs/security.md rest on.

# residue: what is in device memory that others have used. Runs natively and in guests.
ifneq ($(NVCC),)
RESIDUE := $(BUILD)/security/residue $(BUILD)/security/residue.fatbin
$(BUILD)/security/residue: tests/security/residue.c | $(BUILD)/lib/libcuda.so.1
	@mkdir -p $(@D)
	$(CC) $(GVM_CFLAGS) $(GVM_LDFLAGS) -isystem $(dir $(CUDA_INC)) -MF $@.d -o $@ $< \
		-L$(BUILD)/lib -l:libcuda.so.1

$(BUILD)/security/residue.fatbin: tests/security/residue_kernels.cu
	@mkdir -p $(@D)
	$(NVCC) -w -O2 -fatbin $(BENCH_ARCH) -o $@ $<

ifeq ($(SAN),)
TEST_ALL += $(RESIDUE)
endif
endif

# Kernels that no compiler writes, for tests/local/wild.py. Runs natively too.
ifneq ($(CUDA_INC),)
WILD := $(BUILD)/security/wild
$(WILD): tests/security/wild.c | $(BUILD)/lib/libcuda.so.1
	@mkdir -p $(@D)
	$(CC) $(GVM_CFLAGS) $(GVM_LDFLAGS) -isystem $(dir $(CUDA_INC)) -MF $@.d -o $@ $< \
		-L$(BUILD)/lib -l:libcuda.so.1

ifeq ($(SAN),)
ALL += $(WILD)
endif
endif

# The worker in which somebody else's code runs. Never installed.
HOSTILE := $(BUILD)/security/gvm-worker-hostile
ifneq ($(PTX_OBJS),)
$(HOSTILE): $(WORKER_MAIN_OBJS) $(WORKER_OBJS) $(PTX_OBJS) $(CUDA_OBJS) \
		$(call objs,tests/security/hostile.c)
	@mkdir -p $(@D)
	$(CC) $(GVM_LDFLAGS) -s -Wl,--wrap=confine_lock,--wrap=confine_start,--wrap=close,--wrap=seccomp_init -o $@ $^ \
		$(WORKER_LIBS) $(PTX_LIBS)
ifeq ($(SAN),)
TEST_ALL += $(HOSTILE)
endif
endif

test-security: all ## what a worker can do in which somebody else's code runs
	@$(PYTHON) tests/security/run.py $(BUILD)

test-teardown: all $(BUILD)/xen/vgpu_load ## a worker or its program is killed, on the software device
	@$(PYTHON) tests/security/teardown.py --kind ptx --mib 256 $(BUILD)

teardown-gpu: all $(BUILD)/xen/vgpu_load ## how long until a killed program is gone, on this machine's GPU
	@$(PYTHON) tests/security/teardown.py $(BUILD)

residue-gpu: all ## what can be read of device memory that others have used, on this machine's GPU
	@tests/security/residue.sh $(BUILD)

.PHONY: residue-gpu teardown-gpu test-security test-teardown
