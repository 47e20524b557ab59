# The Xen lab: a real Xen host in QEMU (tests/xen/lab), its tests, the interactive lab, the demo.
XEN_TOOLS := $(BUILD)/xen/labagent $(BUILD)/xen/vgpu_probe $(BUILD)/xen/vgpu-testback

$(BUILD)/xen/labagent: tests/xen/lab/agent.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Wextra -Wshadow -D_GNU_SOURCE -static -s -o $@ $<

# Both stay outside SAN=: they run in images that hold no sanitizer.
$(BUILD)/xen/vgpu_probe: tests/xen/guest/vgpu_probe.c protocol/vgpu_ioctl.h protocol/vgpuif.h
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 $(WARN) -D_GNU_SOURCE -I. -Iprotocol -static -o $@ $<

$(BUILD)/xen/vgpu-testback: tests/xen/testback.c protocol/vgpuif.h $(GENERATED)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 $(WARN) -D_GNU_SOURCE -I. -Iprotocol -I$(BUILD)/gen -o $@ $< \
		-lxengnttab -lxenevtchn -lxenstore

xen-tools: $(XEN_TOOLS)

# HOST=C or HOST=oxenstored chooses one host configuration, XEN="pattern ..." some tests.
test-xen: all $(XEN_TOOLS) ## tests inside real Xen, emulated; XEN="pvh two_guests" chooses
	@GVM_BUILD=$(BUILD) $(PYTHON) tests/xen/run.py $(if $(HOST),--host $(HOST)) $(XEN)

# The kernel module's tests wait for its time limits, which takes minutes more.
test-full: all $(XEN_TOOLS) ## everything inside Xen that make test leaves out
	@GVM_BUILD=$(BUILD) $(PYTHON) tests/xen/run.py --full --budget 2400 $(XEN)

# Doorbells, system calls, hypercalls, grants and copies for each piece of work.
bench-counts: all $(XEN_TOOLS) ## exact counts for each piece of work, inside Xen
	@GVM_BUILD=$(BUILD) $(PYTHON) tests/xen/bench_counts.py $(COUNTS_OPTIONS)

xen-shell: setup ## a lab by hand: dom0's shell and a guest's console
	@$(MAKE) --no-print-directory -s all xen-tools
	@GVM_BUILD=$(BUILD) $(PYTHON) tests/xen/labctl.py shell

demo: setup ## CUDA programs in a Xen guest, from nothing
	@$(MAKE) --no-print-directory -s -j2 all xen-tools
	@GVM_BUILD=$(BUILD) $(PYTHON) tests/xen/demo.py

.PHONY: xen-tools bench-counts test-xen test-full xen-shell demo
