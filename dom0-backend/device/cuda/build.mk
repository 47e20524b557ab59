# A real GPU, through the driver's library opened at run time: needs CUDA's headers to build.
CUDA_SRCS := $(notdir $(sort $(wildcard dom0-backend/device/cuda/*.c)))
ifneq ($(CUDA_INC),)
CFLAGS_dom0-backend_device_cuda := -isystem $(dir $(CUDA_INC))
CUDA_OBJS := $(call objs,$(addprefix dom0-backend/device/cuda/,$(CUDA_SRCS)))
endif

# Unit test, with a library that pretends to be the driver's; and as it would be if it were too old,
# or GVM's own.
ifneq ($(CUDA_INC),)
FAKE_CUDA := $(addprefix $(BUILD)/unit/fake/,libcuda.so.1 libcuda-old.so.1 libcuda-bare.so.1 \
	libcuda-shim.so.1)
FAKE_CUDA_OBJS := $(call objs,tests/unit/fake_cuda.c tests/unit/fake_cuda_stubs.c)
$(BUILD)/obj/tests/unit/fake_cuda.o: GVM_CFLAGS += -isystem $(dir $(CUDA_INC)) -Wno-missing-prototypes
FAKE_HIDE_old := cuMemCreate;
FAKE_HIDE_bare := cuModuleGetFunctionCount; cuCheckpointProcessLock;
FAKE_FLAGS_shim := -Wl,--defsym=gvm_init=cuInit
$(FAKE_CUDA): $(FAKE_CUDA_OBJS)
	@mkdir -p $(@D)
	@echo '{ local: $(FAKE_HIDE_$(patsubst libcuda-%.so.1,%,$(@F))) no_such_name; };' >$@.map
	$(CC) -shared $(SANFLAGS) -Wl,--version-script=$@.map $(FAKE_FLAGS_$(patsubst libcuda-%.so.1,%,$(@F))) \
		-o $@ $^
# Tests on a driver that only pretends to be one.
define cuda_case
UNIT_cuda_$(1)_OBJS = $$(CUDA_OBJS) $$(COMMON_OBJS)
UNIT_cuda_$(1)_CFLAGS = -DBUILD_DIR='"$$(BUILD)"'
UNIT_cuda_$(1)_LIBS = -lzstd -llz4
UNIT_cuda_$(1)_NEEDS = $$(FAKE_CUDA)
endef
$(foreach n,device graph image memory stage,$(eval $(call cuda_case,$(n))))
UNIT_cuda_comm_OBJS = $(call objs,dom0-backend/device/cuda/cuda_comm.c)
FUZZ_image_OBJS = $(call objs,$(addprefix dom0-backend/device/cuda/,cuda_image.c cuda_look.c cuda_vars.c))
FUZZ_image_LIBS = -lzstd -llz4
FUZZ_image_SEEDS = tests/fuzz/seeds/ptx
$(BUILD)/fuzz/obj/tests/fuzz/fuzz_image.o: FUZZ_CFLAGS += -isystem $(dir $(CUDA_INC))
endif
