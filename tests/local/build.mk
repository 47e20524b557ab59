# Conformance programs over the local transport, as an ordinary user; LOCAL="NAME..." chooses.
LOCAL ?=
test-local: all ## conformance programs over the local transport
	@$(PYTHON) tests/local/run.py $(BUILD) $(LOCAL)

.PHONY: test-local
