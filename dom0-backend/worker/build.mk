# gvm-worker: executes the calls of one guest process.
# What tests and fuzzers link instead of the program: everything but main().
WORKER_OBJS := $(call objs,$(addprefix dom0-backend/worker/,worker.c drain.c lane.c flow.c chunk.c \
	objects.c image.c confine.c control.c calls_memory.c calls_copy.c calls_link.c calls_module.c calls_launch.c \
	calls_stream.c calls_texture.c calls_misc.c upcall.c)) $(PROTO_DECODE_OBJS) $(TRANSPORT_OBJS) $(COMMON_OBJS)
WORKER_MAIN_OBJS := $(call objs,dom0-backend/worker/main.c)
WORKER_LIBS := -lb2 -lseccomp

# A worker is of use only with a device.
ifneq ($(PTX_OBJS),)
$(eval $(call program,gvm-worker,$(WORKER_MAIN_OBJS) $(WORKER_OBJS) $(PTX_OBJS) $(CUDA_OBJS),\
	$(WORKER_LIBS) $(PTX_LIBS)))
endif
