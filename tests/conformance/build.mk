# Conformance programs, built as a user builds his: plain `nvcc -cudart shared FILE.cu`.
ifeq ($(NVCC),)
  $(info tests/conformance: skipped, no nvcc (install the CUDA toolkit, or set NVCC=))
  CONFORMANCE :=
else

CONFORMANCE_SRC := $(sort $(wildcard tests/conformance/*.cu))
CONFORMANCE := $(patsubst tests/conformance/%.cu,$(BUILD)/conformance/%,$(CONFORMANCE_SRC)) \
	$(BUILD)/conformance/staticlink

$(BUILD)/conformance/noPTX: NVCC_ARCH := -gencode arch=compute_90,code=sm_90
$(BUILD)/conformance/%: tests/conformance/%.cu tests/conformance/check.h
	@mkdir -p $(@D)
	$(NVCC) -w -cudart shared $(NVCC_ARCH) -o $@ $<

# nvcc's default link: NVIDIA's runtime inside the program.
$(BUILD)/conformance/staticlink: tests/conformance/vectorAdd.cu tests/conformance/check.h
	@mkdir -p $(@D)
	$(NVCC) -w -o $@ $<

# Programs are never instrumented: a SAN= build uses those of the plain one.
ifeq ($(SAN),)
ALL += $(CONFORMANCE)
endif
conformance-build: $(CONFORMANCE)
.PHONY: conformance-build

endif
