# The guest's libraries: libcuda.so.1 (owns the connection) and libcudart.so.13 (a thin layer).
# They are built against the CUDA toolkit's headers; without them they are left out, and it is said.
ifeq ($(CUDA_INC),)
  $(info libcudart-shim: skipped, no cuda.h (install the CUDA toolkit, or set NVCC=.../bin/nvcc))
else

SHIM_INC := -isystem $(dir $(CUDA_INC))
# Thread-local state is small: initial-exec is safe for dlopen too and needs no call to reach it.
CFLAGS_libcudart-shim_driver := $(SHIM_INC) -fvisibility=hidden -ftls-model=initial-exec
# No prototypes: the per-thread twins and what nvcc generates calls to are in no public header.
CFLAGS_libcudart-shim_runtime := $(SHIM_INC) -fvisibility=hidden -ftls-model=initial-exec -Wno-missing-prototypes

DRIVER_SRC := $(sort $(wildcard libcudart-shim/driver/*.c))
RUNTIME_SRC := $(sort $(wildcard libcudart-shim/runtime/*.c))
DRIVER_OBJ := $(call objs,$(DRIVER_SRC))
RUNTIME_OBJ := $(call objs,$(RUNTIME_SRC))
SHIM_GEN := $(BUILD)/obj/libcudart-shim/gen
SHIM_STATIC := $(BUILD)/obj/libcudart-shim/static
OBJCOPY ?= objcopy
STUBS_OBJ := $(BUILD)/obj/libcudart-shim/gen/stubs.o

$(SHIM_GEN)/stubs.o: $(BUILD)/gen/stubs.c
	@mkdir -p $(@D)
	$(CC) $(GVM_CFLAGS) -fvisibility=hidden -c -o $@ $<

$(SHIM_GEN)/%_refused.c: libcudart-shim/%/exports.txt libcudart-shim/refuse.py
	@mkdir -p $(@D)
	$(PYTHON) libcudart-shim/refuse.py $(SHIM_GEN)/$*.summary $(REFUSE_$*) $< $@ $(filter %.o,$^)
REFUSE_driver := gvm_refused
REFUSE_runtime := rt_refused
$(SHIM_GEN)/driver_refused.c: $(DRIVER_OBJ)
$(SHIM_GEN)/runtime_refused.c: $(RUNTIME_OBJ)
$(SHIM_GEN)/%_refused.o: $(SHIM_GEN)/%_refused.c
	$(CC) $(GVM_CFLAGS) -fvisibility=hidden -c -o $@ $<

SHIM_LDFLAGS = -shared $(GVM_LDFLAGS) -Wl,-Bsymbolic-functions -Wl,--exclude-libs,ALL -Wl,-z,nodelete

$(BUILD)/lib/libcuda.so.1: $(DRIVER_OBJ) $(STUBS_OBJ) $(SHIM_GEN)/driver_refused.o $(SHIM_GEN)/procs.o \
		$(SHIM_STATIC)/abi.o \
		libcudart-shim/driver/libcuda.map
	@mkdir -p $(@D)
	$(CC) $(SHIM_LDFLAGS) -Wl,-soname,libcuda.so.1 -Wl,--version-script=libcudart-shim/driver/libcuda.map \
		-o $@ $(filter %.o,$^) -l:libb2.a
	@ln -sf libcuda.so.1 $(@D)/libcuda.so

$(SHIM_GEN)/procs.c: libcudart-shim/procs.py libcudart-shim/driver/exports.txt
	@mkdir -p $(@D)
	$(PYTHON) $< $(dir $(CUDA_INC)) libcudart-shim/driver/exports.txt $@
$(SHIM_GEN)/procs.o: $(SHIM_GEN)/procs.c
	$(CC) $(GVM_CFLAGS) -fvisibility=hidden -c -o $@ $<

$(SHIM_GEN)/runtime.map: libcudart-shim/runtime/exports.txt
	@mkdir -p $(@D)
	(echo 'libcudart.so.13 { global:'; sed -e 's/#.*//' -e '/^ *$$/d' -e 's/$$/;/' $<; \
		echo 'local: *; };') > $@

$(BUILD)/lib/libcudart.so.13: $(RUNTIME_OBJ) $(SHIM_GEN)/runtime_refused.o $(SHIM_GEN)/runtime.map \
		$(BUILD)/lib/libcuda.so.1
	@mkdir -p $(@D)
	$(CC) $(SHIM_LDFLAGS) -Wl,-soname,libcudart.so.13 -Wl,--version-script=$(SHIM_GEN)/runtime.map \
		-Wl,-z,defs -Wl,-rpath,'$$ORIGIN' -Wl,--enable-new-dtags -o $@ $(filter %.o,$^) \
		$(BUILD)/lib/libcuda.so.1
	@ln -sf libcudart.so.13 $(@D)/libcudart.so

# libnvidia-ml.so.1: the device and its quota, for whoever looks by NVML; it finds libcuda.so.1 beside it.
CFLAGS_libcudart-shim_libs_nvml := -fvisibility=hidden -Wno-missing-prototypes -Wno-strict-prototypes
NVML_OBJ := $(call objs,libcudart-shim/libs/nvml/nvml.c)
$(BUILD)/lib/libnvidia-ml.so.1: $(NVML_OBJ) $(BUILD)/lib/libcuda.so.1
	@mkdir -p $(@D)
	$(CC) $(SHIM_LDFLAGS) -Wl,-soname,libnvidia-ml.so.1 -Wl,-z,defs -Wl,-rpath,'$$ORIGIN' \
		-Wl,--enable-new-dtags -o $@ $(NVML_OBJ) $(BUILD)/lib/libcuda.so.1
	@ln -sf libnvidia-ml.so.1 $(@D)/libnvidia-ml.so

# libcudart_static.a: the same objects and a bridge to libcuda.so.1, as one object of which only the
# public names are visible. init.o would need the driver at start-up; load.c does its work.
STATIC_OBJ := $(filter-out %/init.o,$(RUNTIME_OBJ)) $(SHIM_GEN)/runtime_refused.o $(SHIM_STATIC)/load.o \
	$(call objs,libcudart-shim/driver/errors.c libcudart-shim/driver/log.c)
$(SHIM_STATIC)/private_abi.h: libcudart-shim/static/bridge.py $(wildcard libcudart-shim/driver/*.h) | $(GENERATED)
	@mkdir -p $(@D)
	$(PYTHON) $< abi $@ $(filter %.h,$^) $(BUILD)/gen/calls.h
$(SHIM_STATIC)/abi.c: $(SHIM_STATIC)/private_abi.h
	printf '%s\n' '#include <stdint.h>' '#include "private_abi.h"' \
		'extern const uint64_t gvm_private_abi __attribute__((visibility("default")));' \
		'const uint64_t gvm_private_abi = GVM_PRIVATE_ABI;' > $@
$(SHIM_STATIC)/abi.o: $(SHIM_STATIC)/abi.c
	$(CC) $(GVM_CFLAGS) -c -o $@ $<
$(SHIM_STATIC)/load.o: libcudart-shim/static/load.c $(SHIM_STATIC)/private_abi.h
	$(CC) $(GVM_CFLAGS) -I$(SHIM_STATIC) -fvisibility=hidden -c -o $@ $<
$(SHIM_STATIC)/entries.S: libcudart-shim/static/bridge.py $(STATIC_OBJ)
	$(PYTHON) $< entries $@ $(filter %.o,$^)
$(SHIM_STATIC)/%.o: $(SHIM_STATIC)/%.S
	$(CC) -c -o $@ $<
$(SHIM_STATIC)/first.o: libcudart-shim/static/first.S
	@mkdir -p $(@D)
	$(CC) -c -o $@ $<
$(BUILD)/lib/libcudart_static.a: $(STATIC_OBJ) $(SHIM_STATIC)/entries.o $(SHIM_STATIC)/first.o
	@mkdir -p $(@D)
	$(LD) -r -o $(SHIM_STATIC)/all.o $^
	$(OBJCOPY) --localize-hidden -w -L 'gvm_*' $(SHIM_STATIC)/all.o
	rm -f $@
	$(AR) rcs $@ $(SHIM_STATIC)/all.o

SHIM_LIBS := $(BUILD)/lib/libcuda.so.1 $(BUILD)/lib/libcudart.so.13 $(BUILD)/lib/libnvidia-ml.so.1 $(BUILD)/lib/libcudart_static.a
ALL += $(SHIM_LIBS)

endif

# Unit tests of the parts that need neither a connection nor CUDA's headers.
SHIM_DRV := libcudart-shim/driver
UNIT_shim_tables_OBJS := $(call objs,$(patsubst %,$(SHIM_DRV)/%.c,errors extent idtab ranges table))
UNIT_shim_blocks_OBJS := $(call objs,$(SHIM_DRV)/blocks.c)
UNIT_shim_chan_OBJS := $(call objs,$(patsubst %,$(SHIM_DRV)/%.c,chan clock log))
UNIT_shim_pipe_OBJS := $(call objs,$(patsubst %,$(SHIM_DRV)/%.c,clock crew log pipe settle stage))
