# Helpers that every back-end program links: $(COMMON_OBJS).
COMMON_OBJS := $(call objs,dom0-backend/common/log.c dom0-backend/common/fdmsg.c)
