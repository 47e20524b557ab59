# XenStore key names for all C code, and the table of gvm check.
SCHEMA_GEN := $(addprefix $(BUILD)/gen/,vgpu_keys.h vgpu_schema.h vgpu_schema.c)
GENERATED += $(SCHEMA_GEN)

$(SCHEMA_GEN) &: xenstore-schema/vgpu.schema xenstore-schema/gen.py
	@mkdir -p $(BUILD)/gen
	$(PYTHON) xenstore-schema/gen.py xenstore-schema/vgpu.schema $(BUILD)/gen


UNIT_check_OBJS := $(call objs,xenstore-schema/check.c $(BUILD)/gen/vgpu_schema.c)
