# The software device. PTX_CORE_SRCS: PTX front end and interpreter; PTX_DEV_SRCS: what makes a
# device of them. Programs link $(PTX_OBJS) with $(PTX_LIBS).
PTX_CORE_SRCS :=
PTX_DEV_SRCS := arena.c device.c device_crew.c device_info.c device_mem.c device_output.c \
	device_thread.c event.c fatbin.c module.c module_func.c stream.c stream_op.c

PTX_CORE_OBJS := $(call objs,$(addprefix dom0-backend/device/ptx/,$(PTX_CORE_SRCS)))
PTX_DEV_OBJS := $(call objs,$(addprefix dom0-backend/device/ptx/,$(PTX_DEV_SRCS)))
# Nothing to link before the interpreter is there.
PTX_OBJS := $(if $(PTX_CORE_SRCS),$(PTX_CORE_OBJS) $(PTX_DEV_OBJS))
PTX_LIBS := -lzstd -llz4 -lm
