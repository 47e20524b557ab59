# The toolstack half. AGENT_PURE_OBJS: parsers, which touch nothing and link with nothing.
AGENT_PURE_OBJS := $(call objs,$(addprefix dom0-backend/agent/,spec.c))
