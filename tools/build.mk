# Set-up: every package that the build and the tests need, by apt, once.
setup: $(BUILD)/.setup ## install the packages that building and testing need

$(BUILD)/.setup: tools/setup-packages tools/setup.sh
	tools/setup.sh
	@mkdir -p $(@D)
	@touch $@

.PHONY: setup
