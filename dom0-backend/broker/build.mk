# gvm-backd: the broker, and the agent in dom0.
ifneq ($(wildcard protocol/gen/gen.py),)
include dom0-backend/common/build.mk
BROKER_OBJS := $(call objs,$(addprefix dom0-backend/broker/,main.c worker.c spawn.c chan.c local.c) \
	$(BUILD)/gen/ctl.c)
$(eval $(call program,gvm-backd,$(BROKER_OBJS) $(COMMON_OBJS),-lev))
endif
