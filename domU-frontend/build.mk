# The guest's kernel module, for Debian 12's own kernel and its newest backported one, as far as
# their headers are installed (make setup).  Kbuild writes next to its sources, so a folder of
# links is built: $(BUILD)/domU-frontend/KERNEL/.  $(BUILD)/domU-frontend/xen-vgpufront.ko is the
# one for the kernel that the lab boots.
VGPUFRONT_SRC := $(wildcard domU-frontend/*.c domU-frontend/*.h) domU-frontend/Kbuild \
	protocol/vgpuif.h protocol/vgpu_ioctl.h $(BUILD)/gen/vgpu_keys.h
# $(call newest_headers,PATTERN) -> kernel release whose headers are the newest of that pattern
newest_headers = $(shell ls -d /usr/src/linux-headers-$(1) 2>/dev/null | \
	sed -n 's,^/usr/src/linux-headers-\(.*[0-9+]\(deb12\)\?-amd64\)$$,\1,p' | sort -V | tail -n 1)
VGPUFRONT_BASE := $(call newest_headers,6.1.*-amd64)
VGPUFRONT_BPO := $(call newest_headers,6.12.*+deb12-amd64)
VGPUFRONT_KERNELS := $(VGPUFRONT_BASE) $(VGPUFRONT_BPO)
VGPUFRONT_DIR := $(BUILD)/domU-frontend

# $(call kbuild,KERNEL,OPTIONS): quiet but for the compiler's messages.  A sanitised build
# (SAN=) is about user space.
kbuild = $(MAKE) --no-print-directory -s -C /usr/src/linux-headers-$(1) \
	M=$(abspath $(VGPUFRONT_DIR))/$(1) CFLAGS= $(2) modules 2>&1 | \
	{ grep -v -e '^Skipping BTF generation' || :; }; \
	test $${PIPESTATUS[0]} -eq 0

$(addprefix $(VGPUFRONT_DIR)/,$(addsuffix /xen-vgpufront.ko,$(VGPUFRONT_KERNELS))): \
$(VGPUFRONT_DIR)/%/xen-vgpufront.ko: $(VGPUFRONT_SRC)
	@mkdir -p $(@D)
	@ln -sf $(abspath $^) $(@D)/
	+$(call kbuild,$*,W=1)

ifneq ($(VGPUFRONT_BASE),)
ALL += $(VGPUFRONT_DIR)/xen-vgpufront.ko
$(VGPUFRONT_DIR)/xen-vgpufront.ko: $(VGPUFRONT_DIR)/$(VGPUFRONT_BASE)/xen-vgpufront.ko
	ln -sfn $(VGPUFRONT_BASE)/$(@F) $@
else
product all: no-kernel-headers
no-kernel-headers:
	@echo "domU-frontend: no headers of Debian's 6.1 kernel in /usr/src; xen-vgpufront.ko is not built (make setup)"
endif
ifneq ($(VGPUFRONT_BPO),)
ALL += $(VGPUFRONT_DIR)/$(VGPUFRONT_BPO)/xen-vgpufront.ko
endif

# Warnings of the compiler (W=1) and of sparse are errors.  Both always look at all sources.
lint-module: $(VGPUFRONT_SRC)
	@test -n "$(strip $(VGPUFRONT_KERNELS))" || { echo "lint-module: no kernel headers in /usr/src"; exit 1; }
	@command -v sparse >/dev/null || { echo "lint-module: sparse is not installed"; exit 1; }
	+@for k in $(VGPUFRONT_KERNELS); do \
		d=$(abspath $(VGPUFRONT_DIR))/lint/$$k; \
		rm -rf $$d && mkdir -p $$d && ln -sf $(abspath $(VGPUFRONT_SRC)) $$d/ || exit 1; \
		$(MAKE) --no-print-directory -s -C /usr/src/linux-headers-$$k M=$$d CFLAGS= W=1 C=2 \
			CF=-Wsparse-error KCFLAGS=-Werror modules >$$d/log 2>&1 || { cat $$d/log; exit 1; }; \
		if grep -E 'warning|error' $$d/log; then exit 1; fi; \
		echo "lint-module: $$k: clean"; \
	done

.PHONY: lint-module no-kernel-headers
