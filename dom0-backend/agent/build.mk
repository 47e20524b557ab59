# The toolstack half.
# AGENT_PURE_OBJS: parsers, which touch nothing and link with nothing.
# AGENT_XS_OBJS: XenStore nodes and state_dir, also for the gvm tool.
AGENT_PURE_OBJS := $(call objs,$(addprefix dom0-backend/agent/,spec.c conf.c xlcfg.c))
AGENT_XS_OBJS := $(call objs,$(addprefix dom0-backend/,agent/nodes.c agent/wanted.c agent/saved.c \
	common/xs.c common/states.c))
UNIT_states_OBJS = $(call objs,dom0-backend/common/states.c) $(COMMON_OBJS)
UNIT_xslife_OBJS := $(call objs,dom0-backend/common/xslife.c)
UNIT_xslife_LIBS := -lxenstore
AGENT_OBJS := $(AGENT_XS_OBJS) $(call objs,dom0-backend/common/xslife.c $(addprefix dom0-backend/agent/,agent.c find.c))

UNIT_nodes_OBJS = $(AGENT_PURE_OBJS) $(call objs,dom0-backend/agent/nodes.c dom0-backend/agent/wanted.c \
	dom0-backend/common/xs.c tests/unit/mock_xs.c)
UNIT_agent_OBJS = $(AGENT_PURE_OBJS) $(filter-out %/xslife.o,$(AGENT_OBJS)) \
	$(call objs,tests/unit/mock_xs.c) $(COMMON_OBJS)
UNIT_agent_LIBS = -lev
UNIT_spec_OBJS := $(AGENT_PURE_OBJS)
UNIT_xlcfg_OBJS := $(AGENT_PURE_OBJS)
UNIT_conf_OBJS = $(AGENT_PURE_OBJS) $(call objs,dom0-backend/agent/find.c dom0-backend/agent/saved.c) \
	$(COMMON_OBJS)
