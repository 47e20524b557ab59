# gvm-worker: executes the calls of one guest process.
# What tests and fuzzers link instead of the program: everything but main().
WORKER_SRC := $(sort $(wildcard dom0-backend/worker/*.c))
WORKER_OBJS := $(call objs,$(filter-out %/main.c,$(WORKER_SRC))) $(PROTO_DECODE_OBJS) \
	$(TRANSPORT_OBJS) $(COMMON_OBJS)
WORKER_MAIN_OBJS := $(call objs,dom0-backend/worker/main.c)
# fopen: device/cuda/cuda_comm.c
WORKER_LIBS := -lb2 -lseccomp -lzstd -Wl,--export-dynamic-symbol=fopen,--export-dynamic-symbol=fopen64

# A worker is of use only with a device.
ifneq ($(PTX_OBJS),)
$(eval $(call program,gvm-worker,$(WORKER_MAIN_OBJS) $(WORKER_OBJS) $(PTX_OBJS) $(CUDA_OBJS),\
	$(WORKER_LIBS) $(PTX_LIBS)))
endif
