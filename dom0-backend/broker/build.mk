# gvm-backd: the broker, and the agent in dom0.
include dom0-backend/common/build.mk
include dom0-backend/agent/build.mk
BROKER_OBJS := $(call objs,$(addprefix dom0-backend/broker/,main.c worker.c share.c shares.c holds.c tenant.c audit.c sched.c gpushare.c adopt.c spawn.c listen.c root.c mps.c backoff.c cgroup.c limits.c chan.c op.c park.c parkgpu.c keep.c local.c \
	query.c trace.c xenbus.c xendev.c xenctl.c xenpark.c ctlring.c grants.c notify.c)) $(PROTO_CTL_OBJS)
$(eval $(call program,gvm-backd,$(BROKER_OBJS) $(AGENT_OBJS) $(AGENT_PURE_OBJS) $(COMMON_OBJS),\
	-lev -lxenstore -ldl))

UNIT_ctlring_OBJS := $(call objs,dom0-backend/broker/ctlring.c) $(PROTO_CTL_OBJS)
UNIT_shares_OBJS := $(call objs,dom0-backend/broker/shares.c)
UNIT_broker_share_OBJS := $(call objs,dom0-backend/broker/share.c dom0-backend/broker/shares.c dom0-backend/broker/holds.c) \
	$(COMMON_OBJS)
UNIT_audit_OBJS := $(call objs,dom0-backend/broker/audit.c) $(COMMON_OBJS)
UNIT_audit_LIBS := -lev -ldl
UNIT_limits_OBJS := $(call objs,dom0-backend/broker/root.c dom0-backend/broker/cgroup.c) $(COMMON_OBJS)
UNIT_mps_OBJS := $(call objs,dom0-backend/broker/mps.c)
UNIT_listen_OBJS := $(call objs,dom0-backend/broker/listen.c)
UNIT_backoff_OBJS := $(call objs,dom0-backend/broker/backoff.c)
UNIT_holds_OBJS := $(call objs,dom0-backend/broker/holds.c)
UNIT_sched_OBJS := $(call objs,dom0-backend/broker/sched.c dom0-backend/broker/gpushare.c) $(COMMON_OBJS)
UNIT_sched_LIBS := -lev
UNIT_gpushare_OBJS := $(call objs,dom0-backend/broker/gpushare.c)
