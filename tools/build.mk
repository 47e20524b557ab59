# Set-up: every package that is needed, by apt, once.
setup: $(BUILD)/.setup-all ## install the packages that building, packaging and testing need
setup-build: $(BUILD)/.setup-build ## only what building and the demo need

$(BUILD)/.setup-%: tools/setup-packages tools/setup.sh
	tools/setup.sh $*
	@mkdir -p $(@D)
	@touch $@

.PHONY: setup setup-build
