# gvm: the tool. Only the commands that speak to XenStore need Xen's libraries at run time.
include dom0-backend/agent/build.mk
GVM_OBJS := $(call objs,$(addprefix tools/gvm/,main.c run.c elf.c xen.c)) $(AGENT_PURE_OBJS)
$(eval $(call program,gvm,$(GVM_OBJS),))
