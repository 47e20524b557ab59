# Packages for Debian 12: make deb.  Their version is that of packaging/debian/changelog.
GVM_VERSION := $(shell sed -n '1s/.*(\(.*\)).*/\1/p' packaging/debian/changelog)
PACKAGE_LIBDIR := /usr/lib/x86_64-linux-gnu/gvm
PACKAGE_PARTS := $(BUILD)/gvm-backd $(BUILD)/gvm-worker $(BUILD)/gvm $(PTX_JIT) $(SHIM_LIBS) \
	$(BUILD)/gen/vgpu_keys.h $(BUILD)/man/vgpu.7

# vgpu(7) is the comment at the head of vgpuif.h: backslashes and leading dots are not roff's there.
$(BUILD)/man/vgpu.7: docs/man/vgpu.7.in protocol/vgpuif.h
	@mkdir -p $(@D)
	sed -n '/^ \* Glossary/,/^ \*\//{/^ \*\//d;s/^ \* \{0,1\}//;s/^=*$$//;s/\\/\\\\/g;s/-/\\-/g;s/^\([.'"'"']\)/\\\&\1/;p}' \
		protocol/vgpuif.h | sed -e '/^@SPECIFICATION@$$/{r /dev/stdin' -e 'd}' $< >$@.new
	mv $@.new $@

package-parts: $(PACKAGE_PARTS)
	@test -n "$(SHIM_LIBS)" || { echo "packages need the guest's libraries: there is no cuda.h"; exit 1; }

# Into $(DESTDIR); of files that are built already.
install: ## copy programs, libraries, man pages and the module's source to DESTDIR
	install -d $(DESTDIR)/usr/src/xen-vgpufront-$(GVM_VERSION) $(DESTDIR)$(PACKAGE_LIBDIR)
	install -D -t $(DESTDIR)/usr/sbin $(BUILD)/gvm-backd packaging/guest/gvm-guest
	install -D -t $(DESTDIR)/usr/bin $(BUILD)/gvm
	install -D -t $(DESTDIR)/usr/lib/gvm $(BUILD)/gvm-worker
	$(if $(PTX_JIT),install -D -m 644 -t $(DESTDIR)/usr/lib/gvm $(PTX_JIT))
	install -D -m 644 -t $(DESTDIR)/etc/gvm dom0-backend/agent/gvm.conf
	install -m 644 -t $(DESTDIR)$(PACKAGE_LIBDIR) $(SHIM_LIBS)
	for l in $(filter %.so.1 %.so.13,$(notdir $(SHIM_LIBS))); do \
		ln -sf $$l $(DESTDIR)$(PACKAGE_LIBDIR)/$${l%.so.*}.so || exit 1; done
	for p in docs/man/*.[1-8] $(BUILD)/man/*.[1-8]; do \
		install -D -m 644 -t $(DESTDIR)/usr/share/man/man$${p##*.} $$p || exit 1; done
	install -m 644 -t $(DESTDIR)/usr/src/xen-vgpufront-$(GVM_VERSION) $(VGPUFRONT_SRC)
	sed 's/#MODULE_VERSION#/$(GVM_VERSION)/' packaging/debian/xen-vgpufront-dkms.dkms \
		>$(DESTDIR)/usr/src/xen-vgpufront-$(GVM_VERSION)/dkms.conf

deb: package-parts ## Debian packages, in BUILD/deb
	@BUILD=$(BUILD) packaging/make-deb.sh $(GVM_VERSION)

# Installed, upgraded under a running program and purged in a scratch root, without Xen.
test-deb: deb ## the packages: lintian, install, run, upgrade, purge
	@$(PYTHON) tests/deb/run.py $(BUILD)

.PHONY: package-parts install deb test-deb
