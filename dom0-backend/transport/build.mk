# How a worker reaches its channel.
TRANSPORT_OBJS := $(call objs,dom0-backend/transport/transport.c dom0-backend/transport/local.c \
	dom0-backend/transport/xen.c dom0-backend/transport/tenant.c)
UNIT_tenant_OBJS := $(call objs,dom0-backend/transport/tenant.c)
UNIT_worker_transport_OBJS := $(TRANSPORT_OBJS)
