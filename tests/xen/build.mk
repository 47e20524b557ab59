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

# What the fault tests run in dom0 and in guests, and a build of the parts under test with fault
# points in it (dom0-backend/common/fault.h): other objects are those of the normal build.
$(BUILD)/xen/gvm-fault: tests/xen/gvm_fault.c dom0-backend/common/fault.h
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 $(WARN) -D_GNU_SOURCE -I. -o $@ $< -lxenctrl -lxenstore
FAULT_TOOLS := $(BUILD)/xen/gvm-fault
ifneq ($(CUDA_INC),)
FAULT_TOOLS += $(BUILD)/xen/vgpu_load
$(BUILD)/xen/vgpu_load: tests/xen/guest/vgpu_load.c $(BUILD)/lib/libcuda.so.1
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 $(WARN) -D_GNU_SOURCE -isystem $(dir $(CUDA_INC)) -o $@ $< \
		-L$(BUILD)/lib -lcuda
endif

# A frontend that means harm, and what it sends: the fuzzers' seeds, a record for each call and for
# each bound of each of its fields.
FAULT_TOOLS += $(BUILD)/xen/vgpu_evil $(BUILD)/xen/records.bin
$(BUILD)/xen/vgpu_evil: tests/xen/guest/vgpu_evil.c tests/xen/guest/evil_link.c \
		tests/xen/guest/evil_link.h protocol/vgpuif.h protocol/ring.h
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 $(WARN) -D_GNU_SOURCE -I. -Iprotocol -o $@ $(filter %.c,$^) -lxengnttab -lxenevtchn -lxenstore
$(BUILD)/xen/records.bin: $(GENERATED)
	@mkdir -p $(@D)
	@$(PYTHON) -c 'import glob, os, struct, sys; \
		f = [open(n, "rb").read() for n in sorted(glob.glob("$(BUILD)/gen/seeds/rec/*"))]; \
		open("$@", "wb").write(b"".join(struct.pack("<I", len(d)) + d for d in f if len(d) <= 8192))'

$(BUILD)/faults/obj/%.o: %.c | $(GENERATED)
	@mkdir -p $(@D)
	$(CC) $(GVM_CFLAGS) -DGVM_FAULTS -c -o $@ $<
with_faults = $(patsubst $(BUILD)/obj/dom0-backend/broker/%,$(BUILD)/faults/obj/dom0-backend/broker/%,\
	$(patsubst $(BUILD)/obj/dom0-backend/worker/%,$(BUILD)/faults/obj/dom0-backend/worker/%,$(1))) \
	$(BUILD)/faults/obj/dom0-backend/common/fault.o
FAULT_BACKD_OBJS := $(call with_faults,$(BROKER_OBJS) $(AGENT_OBJS) $(AGENT_PURE_OBJS) $(COMMON_OBJS))
FAULT_WORKER_OBJS := $(call with_faults,$(WORKER_MAIN_OBJS) $(WORKER_OBJS) $(PTX_OBJS) $(CUDA_OBJS))
$(BUILD)/faults/gvm-backd: $(FAULT_BACKD_OBJS)
	$(CC) $(GVM_LDFLAGS) -o $@ $^ -lev -lxenstore -ldl
$(BUILD)/faults/gvm-worker: $(FAULT_WORKER_OBJS)
	$(CC) $(GVM_LDFLAGS) -o $@ $^ $(WORKER_LIBS) $(PTX_LIBS)
FAULT_TOOLS += $(BUILD)/faults/gvm-backd $(BUILD)/faults/gvm-worker
ifneq ($(VGPUFRONT_BASE),)
FAULT_TOOLS += $(BUILD)/faults/xen-vgpufront.ko
$(BUILD)/faults/xen-vgpufront.ko: $(VGPUFRONT_SRC)
	@mkdir -p $(@D)/domU-frontend
	@ln -sf $(abspath $^) $(@D)/domU-frontend/
	+$(MAKE) --no-print-directory -s -C /usr/src/linux-headers-$(VGPUFRONT_BASE) \
		M=$(abspath $(@D))/domU-frontend CFLAGS= VGPUFRONT_FAULTS=y modules >$@.log 2>&1 || \
		{ cat $@.log; exit 1; }
	ln -sf domU-frontend/$(@F) $@
endif
-include $(shell find $(BUILD)/faults/obj -name '*.d' 2>/dev/null)

xen-tools: $(XEN_TOOLS)
fault-tools: $(XEN_TOOLS) $(FAULT_TOOLS)

# HOST=C or HOST=oxenstored chooses one host configuration, XEN="pattern ..." some tests.
test-xen: all $(XEN_TOOLS) ## tests inside real Xen, emulated; XEN="pvh two_guests" chooses
	@GVM_BUILD=$(BUILD) $(PYTHON) tests/xen/run.py $(if $(HOST),--host $(HOST)) $(XEN)

# In a boot of their own. GVM_FAULT_CELLS=2 or 3 takes another third of the cells.
test-faults: all fault-tools ## a third of the fault matrix, a hostile guest and a soak of 3 minutes, inside Xen
	@GVM_BUILD=$(BUILD) $(PYTHON) tests/xen/run.py --faults --soak 3 --budget 600 $(XEN)

# The kernel module's tests wait for its time limits, which takes minutes more.
test-full: all fault-tools ## everything inside Xen that make test leaves out
	@export GVM_BUILD=$(BUILD); rc=0; \
	$(PYTHON) tests/xen/run.py --full --budget 2400 $(XEN) || rc=1; \
	GVM_FAULT_CELLS=all $(PYTHON) tests/xen/run.py --faults --budget 5400 $(XEN) || rc=1; \
	$(MAKE) --no-print-directory test-deb-xen || rc=1; \
	$(MAKE) --no-print-directory test-xl || rc=1; exit $$rc

# Debian with systemd on disks, in dom0 and in a guest: minutes to make, once, and to boot.
test-deb-xen: all deb $(BUILD)/xen/labagent ## the packages on a Xen host and in a guest with systemd
	@GVM_BUILD=$(BUILD) $(PYTHON) tests/xen/packages.py

# Builds Xen's tools from Debian's source, once: some ten minutes on two cores.
test-xl: all $(XEN_TOOLS) ## xl and libxl with packaging/xen/vgpu.patch, in the lab
	@packaging/xen/build.sh $(BUILD)/xen/xl-patched; rc=$$?; \
	if [ $$rc = 77 ]; then echo '0 passed, 0 failed, 1 skipped'; exit 0; fi; \
	[ $$rc = 0 ] && GVM_BUILD=$(BUILD) $(PYTHON) tests/xen/xl_patch.py $(BUILD)/xen/xl-patched/out

SOAK_MINUTES ?= 30
soak: all fault-tools ## guests start, compute and die at random for SOAK_MINUTES (30): nothing grows
	@GVM_BUILD=$(BUILD) $(PYTHON) tests/xen/run.py --soak $(SOAK_MINUTES)

# Doorbells, system calls, hypercalls, grants and copies for each piece of work.
bench-counts: all $(XEN_TOOLS) ## exact counts for each piece of work, inside Xen
	@GVM_BUILD=$(BUILD) $(PYTHON) tests/xen/bench_counts.py $(COUNTS_OPTIONS)

xen-shell: setup ## a lab by hand: dom0's shell and a guest's console
	@$(MAKE) --no-print-directory -s all xen-tools
	@GVM_BUILD=$(BUILD) $(PYTHON) tests/xen/labctl.py shell

# Builds what it shows and nothing else: all programs of the tests take nvcc many minutes.
DEMO_PROGRAMS := $(addprefix $(BUILD)/conformance/,vectorAdd matrixMul reduction spin)
demo-parts: product $(XEN_TOOLS) $(DEMO_PROGRAMS)
demo: setup-build ## CUDA programs in a Xen guest, from nothing
	@$(MAKE) --no-print-directory -s -j$$(nproc) demo-parts
	@GVM_BUILD=$(BUILD) $(PYTHON) tests/xen/demo.py

.PHONY: fault-tools xen-tools bench-counts test-xen test-faults test-full test-deb-xen test-xl soak xen-shell demo demo-parts
