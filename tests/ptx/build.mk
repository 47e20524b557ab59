# Instruction forms: forms.py writes one kernel for each, forms.c runs them on the software device
# and compares with what an H200 gave (golden.zst; recorded by `forms record`).
FORMS_OBJS := $(call objs,tests/ptx/forms.c)
$(BUILD)/ptx/forms: $(FORMS_OBJS) $$(PTX_CORE_OBJS)
	@mkdir -p $(@D)
	$(CC) $(GVM_LDFLAGS) -o $@ $^ -lm -lzstd -ldl

$(BUILD)/ptx/forms.ptx: tests/ptx/forms.py
	@mkdir -p $(@D)
	$(PYTHON) tests/ptx/forms.py $@

# Both sets of handlers: this processor's, and the plain x86-64 one.
test-ptx: $(BUILD)/ptx/forms $(BUILD)/ptx/forms.ptx
	$(BUILD)/ptx/forms check $(BUILD)/ptx/forms.ptx tests/ptx/golden.zst
	GVM_PTX_ISA=base $(BUILD)/ptx/forms check $(BUILD)/ptx/forms.ptx tests/ptx/golden.zst

.PHONY: test-ptx
