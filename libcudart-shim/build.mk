# The guest's libraries: libcuda.so.1 (owns the connection) and libcudart.so.13 (a thin layer).
# They are built against the CUDA toolkit's headers; without them they are left out, and it is said.
CUDA_INC := $(firstword $(wildcard $(patsubst %/bin/,%,$(dir $(realpath $(NVCC))))/include/cuda.h \
	/usr/local/cuda/include/cuda.h))
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

$(BUILD)/lib/libcuda.so.1: $(DRIVER_OBJ) $(STUBS_OBJ) $(SHIM_GEN)/driver_refused.o \
		libcudart-shim/driver/libcuda.map
	@mkdir -p $(@D)
	$(CC) $(SHIM_LDFLAGS) -Wl,-soname,libcuda.so.1 -Wl,--version-script=libcudart-shim/driver/libcuda.map \
		-o $@ $(filter %.o,$^) -l:libb2.a
	@ln -sf libcuda.so.1 $(@D)/libcuda.so

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

SHIM_LIBS := $(BUILD)/lib/libcuda.so.1 $(BUILD)/lib/libcudart.so.13
ALL += $(SHIM_LIBS)

endif

# Unit tests of the parts that need neither a connection nor CUDA's headers.
SHIM_DRV := libcudart-shim/driver
UNIT_shim_tables_OBJS := $(call objs,$(patsubst %,$(SHIM_DRV)/%.c,errors extent idtab ranges table))
UNIT_shim_chan_OBJS := $(call objs,$(SHIM_DRV)/chan.c $(SHIM_DRV)/log.c)
