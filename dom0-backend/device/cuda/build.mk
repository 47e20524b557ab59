# A real GPU, through the driver's library opened at run time: needs CUDA's headers to build.
CUDA_SRCS := $(notdir $(sort $(wildcard dom0-backend/device/cuda/*.c)))
ifneq ($(CUDA_INC),)
CFLAGS_dom0-backend_device_cuda := -isystem $(dir $(CUDA_INC))
CUDA_OBJS := $(call objs,$(addprefix dom0-backend/device/cuda/,$(CUDA_SRCS)))
endif
