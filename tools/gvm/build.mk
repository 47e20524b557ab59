# The version of everything that is built here: the changelog's.
GENERATED += $(BUILD)/gen/gvm_version.h
$(BUILD)/gen/gvm_version.h: packaging/debian/changelog
	@mkdir -p $(@D)
	sed -n '1s/.*(\(.*\)).*/#define GVM_VERSION "\1"/p' $< >$@

# gvm: the tool. Of Xen's libraries it needs libxenstore, whose interface is stable.
include dom0-backend/common/build.mk
include dom0-backend/agent/build.mk
GVM_OBJS := $(call objs,$(addprefix tools/gvm/,main.c run.c elf.c xen.c backd.c vgpus.c list.c saved.c top.c trace.c trace_show.c metrics.c doctor.c doctor_back.c doctor_gpu.c doctor_guest.c check.c)) \
	$(AGENT_PURE_OBJS) $(AGENT_XS_OBJS) $(call objs,xenstore-schema/check.c $(BUILD)/gen/vgpu_schema.c) $(COMMON_OBJS) \
	$(PROTO_TRACE_OBJS)
$(eval $(call program,gvm,$(GVM_OBJS),-lxenstore -ldl))

UNIT_gvm_tool_OBJS = $(call objs,tools/gvm/backd.c tools/gvm/trace_show.c) $(AGENT_PURE_OBJS) $(PROTO_TRACE_OBJS)
