# Instruction forms: forms.py writes one kernel for each, forms.c runs them on the software device
# and compares with what an H200 gave (golden.zst; recorded by `forms record`).
SIDE_OBJS := $(call objs,tests/ptx/side_gpu.c tests/ptx/side_soft.c)
FORMS_OBJS := $(call objs,tests/ptx/forms.c) $(SIDE_OBJS)
$(BUILD)/ptx/forms: $(FORMS_OBJS) $$(PTX_CORE_OBJS)
	@mkdir -p $(@D)
	$(CC) $(GVM_LDFLAGS) -o $@ $^ -lm -lzstd -ldl

RANDOM_OBJS := $(call objs,tests/ptx/random.c tests/ptx/randprog.c) $(SIDE_OBJS)
$(BUILD)/ptx/random: $(RANDOM_OBJS) $$(PTX_CORE_OBJS)
	@mkdir -p $(@D)
	$(CC) $(GVM_LDFLAGS) -o $@ $^ -lm -lzstd -ldl

$(BUILD)/ptx/forms.ptx: tests/ptx/forms.py tests/ptx/forms_more.py
	@mkdir -p $(@D)
	$(PYTHON) tests/ptx/forms.py $@

# run.py says what is compared.
TEST_PTX := $(BUILD)/ptx/forms $(BUILD)/ptx/forms.ptx $(BUILD)/ptx/random $(PTX_JIT)
test-ptx: $(TEST_PTX) ## the software device against what an H200 gave: instruction forms, random programs
	@$(PYTHON) tests/ptx/run.py --build $(BUILD)
test-nightly: $(TEST_PTX) ## the same with 10000 programs, everything compiled for every width; takes hours
	@$(PYTHON) tests/ptx/run.py --build $(BUILD) --nightly

# Forms that the device refuses, each with its reason.
$(BUILD)/ptx/unsupported.txt: $(BUILD)/ptx/forms $(BUILD)/ptx/forms.ptx
	$(BUILD)/ptx/forms unsupported $(BUILD)/ptx/forms.ptx - > $@

.PHONY: test-ptx test-nightly

# What the compiler leaves to the interpreter, and why.
LEFT_OBJS := $(call objs,tests/ptx/left.c dom0-backend/device/ptx/fatbin.c)
$(BUILD)/ptx/left: $(LEFT_OBJS) $$(PTX_CORE_OBJS)
	@mkdir -p $(@D)
	$(CC) $(GVM_LDFLAGS) -o $@ $^ $(PTX_LIBS) -ldl
$(BUILD)/ptx/left.txt: $(BUILD)/ptx/left $(BUILD)/ptx/forms.ptx $(PTX_JIT)
	{ echo "instruction forms:"; $(BUILD)/ptx/left $(BUILD)/ptx/forms.ptx; \
	  echo "conformance programs:"; $(BUILD)/ptx/left $$(find $(BUILD)/conformance -type f -perm -1); } > $@
