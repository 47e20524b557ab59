# Conformance programs, built as a user builds his: plain `nvcc -cudart shared FILE.cu`.
ifeq ($(NVCC),)
  $(info tests/conformance: skipped, no nvcc (install the CUDA toolkit, or set NVCC=))
  CONFORMANCE :=
else

CONFORMANCE_SRC := $(filter-out %/kernels.cu %/ownstatic.cu,$(sort $(wildcard tests/conformance/*.cu)))
CONFORMANCE := $(patsubst tests/conformance/%.cu,$(BUILD)/conformance/%,$(CONFORMANCE_SRC)) \
	$(BUILD)/conformance/staticlink $(BUILD)/conformance/ownstatic

$(BUILD)/conformance/mallocs: $(BUILD)/lib/libcuda.so.1
$(BUILD)/conformance/mallocs: CONFORMANCE_LIBS = -L$(BUILD)/lib -lcuda
$(BUILD)/conformance/parked: $(BUILD)/lib/libcuda.so.1
$(BUILD)/conformance/parked: CONFORMANCE_LIBS = -L$(BUILD)/lib -lcuda
$(BUILD)/conformance/calls: tests/conformance/module/parts/lazy.cu
$(BUILD)/conformance/calls: CONFORMANCE_LIBS = tests/conformance/module/parts/lazy.cu -ldl
$(BUILD)/conformance/noPTX: NVCC_ARCH := -gencode arch=compute_90,code=sm_90
$(BUILD)/conformance/wide: NVCC_ARCH := -gencode arch=compute_100,code=compute_100
$(BUILD)/conformance/%: tests/conformance/%.cu tests/conformance/check.h
	@mkdir -p $(@D)
	$(NVCC) -w -cudart shared $(NVCC_ARCH) -o $@ $< $(CONFORMANCE_LIBS)

# nvcc's default link: NVIDIA's runtime inside the program.
$(BUILD)/conformance/staticlink: tests/conformance/vectorAdd.cu tests/conformance/check.h
	@mkdir -p $(@D)
	$(NVCC) -w -o $@ $<

# The same link, but our libcudart_static.a is found first.
$(BUILD)/conformance/ownstatic: tests/conformance/ownstatic.cu tests/conformance/check.h $(SHIM_LIBS)
	@mkdir -p $(@D)
	$(NVCC) -w -o $@ $< -L$(BUILD)/lib

# Programs compared by transcript (transcript.h): tests/conformance/FAMILY/NAME.c or .cu become
# $(BUILD)/conformance/t/FAMILY_NAME. A .c program can use the kernels of kernels.cu:
# `extern const unsigned char kernels_image[]`, a fatbin. Linked with the real libraries' names, so
# that the same binary runs natively.
TRANSCRIPT_C := $(filter-out tests/conformance/random/%,$(sort $(wildcard tests/conformance/*/*.c)))
TRANSCRIPT_CU := $(sort $(wildcard tests/conformance/*/*.cu))
TRANSCRIPTS := $(foreach f,$(TRANSCRIPT_C) $(TRANSCRIPT_CU),\
	$(BUILD)/conformance/t/$(basename $(subst /,_,$(patsubst tests/conformance/%,%,$(f)))))
TRANSCRIPT_LIBS = -L$(BUILD)/lib -lcudart -lcuda
CONFORMANCE += $(TRANSCRIPTS)

$(BUILD)/conformance/kernels.fatbin: tests/conformance/kernels.cu
	@mkdir -p $(@D)
	$(NVCC) -fatbin $(NVCC_ARCH) -o $@ $<
$(BUILD)/conformance/kernels_image.c: $(BUILD)/conformance/kernels.fatbin
	$(PYTHON) -c 'import sys; d = open(sys.argv[1], "rb").read(); \
		print("const unsigned char kernels_image[] __attribute__((aligned(16))) = {%s};" % \
		",".join(map(str, d)))' $< > $@
$(BUILD)/conformance/kernels_image.o: $(BUILD)/conformance/kernels_image.c
	$(CC) -c -o $@ $<

TRANSCRIPT_FLAGS_stream_perthread := -default-stream per-thread
TRANSCRIPT_FLAGS_stream_runtime_twins := -default-stream per-thread
# Per program: TRANSCRIPT_FLAGS_FAMILY_NAME adds to nvcc's or gcc's command line.
TRANSCRIPT_FLAGS_module_rdc := -rdc=true tests/conformance/module/parts/rdc_b.cu
$(BUILD)/conformance/t/module_rdc: tests/conformance/module/parts/rdc_b.cu
TRANSCRIPT_FLAGS_module_nvrtc := -ldl
TRANSCRIPT_FLAGS_module_nvrtcbin := -ldl
# Code for one kind of device only, which is not the one that tests run on.
$(BUILD)/conformance/t/launch_noimage: NVCC_ARCH := -gencode arch=compute_75,code=sm_75
define transcript_c
$$(BUILD)/conformance/t/$(2): $(1) tests/conformance/transcript.h tests/conformance/kernels.h $$(BUILD)/conformance/kernels_image.o \
		$$(SHIM_LIBS)
	@mkdir -p $$(@D)
	$$(CC) -std=gnu11 -O1 -w $$(TRANSCRIPT_FLAGS_$(2)) -Itests/conformance -isystem $$(dir $$(CUDA_INC)) \
		-o $$@ $(1) $$(BUILD)/conformance/kernels_image.o $$(TRANSCRIPT_LIBS) -lpthread
endef
define transcript_cu
$$(BUILD)/conformance/t/$(2): $(1) tests/conformance/transcript.h $$(SHIM_LIBS)
	@mkdir -p $$(@D)
	$$(NVCC) -w -cudart shared $$(NVCC_ARCH) $$(TRANSCRIPT_FLAGS_$(2)) -Itests/conformance -o $$@ $(1) \
		$$(TRANSCRIPT_LIBS)
endef
$(foreach f,$(TRANSCRIPT_C),$(eval $(call transcript_c,$(f),$(basename $(subst /,_,$(patsubst tests/conformance/%,%,$(f)))))))
$(foreach f,$(TRANSCRIPT_CU),$(eval $(call transcript_cu,$(f),$(basename $(subst /,_,$(patsubst tests/conformance/%,%,$(f)))))))

RANDOM_SRC := $(sort $(wildcard tests/conformance/random/*.c))
$(BUILD)/conformance/random: $(RANDOM_SRC) tests/conformance/random/random.h \
		tests/conformance/kernels.h tests/conformance/transcript.h $(BUILD)/conformance/kernels_image.o \
		$(SHIM_LIBS)
	$(CC) -std=gnu11 -O1 -Wall -Wextra -Itests/conformance -isystem $(dir $(CUDA_INC)) -o $@ $(RANDOM_SRC) \
		$(BUILD)/conformance/kernels_image.o $(TRANSCRIPT_LIBS) -lpthread
CONFORMANCE += $(BUILD)/conformance/random

# Programs are never instrumented: a SAN= build uses those of the plain one.
ifeq ($(SAN),)
TEST_ALL += $(CONFORMANCE)
endif
conformance-build: $(CONFORMANCE)
.PHONY: conformance-build

endif

# NAMES="memory_* graph_build" chooses, OPTIONS="--record --jobs 4" goes to run.py.
NAMES ?=
OPTIONS ?=
conformance: all ## transcripts on the software device, compared with the committed native ones
	@$(PYTHON) tests/conformance/run.py --build $(BUILD) $(OPTIONS) $(NAMES)

conformance-gpu: all ## transcripts natively and through GVM on this machine's NVIDIA GPU
	@$(PYTHON) tests/conformance/run.py --build $(BUILD) --gpu $(OPTIONS) $(NAMES)

# OPTIONS="--count 20000" for more.
random: all ## recorded random call sequences on the software device
	@$(PYTHON) tests/conformance/random/sequences.py --build $(BUILD) $(OPTIONS)

random-gpu: all ## 5,000 random call sequences, native against GVM on this machine's GPU
	@$(PYTHON) tests/conformance/random/sequences.py --build $(BUILD) --gpu $(OPTIONS)

# RESULTS=DIR/results.json takes in what a run on a GPU left.
RESULTS ?=
coverage: all ## docs/coverage.md, from what is built, the programs and the last results
	@$(PYTHON) tests/conformance/coverage.py $(BUILD) $(RESULTS)

coverage-check: all
	@$(PYTHON) tests/conformance/coverage.py $(BUILD) --check

.PHONY: conformance conformance-gpu random random-gpu coverage coverage-check
