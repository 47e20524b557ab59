# Conformance programs over the local transport, as an ordinary user; LOCAL="NAME..." chooses.
LOCAL ?=
test-local: all ## conformance programs over the local transport
	@$(PYTHON) tests/local/run.py $(BUILD) $(LOCAL)

# Threads of the shim and of the worker, by ThreadSanitizer.
test-tsan: ## unit tests and programs of several threads with ThreadSanitizer
	@+$(MAKE) --no-print-directory SAN=thread BUILD=$(BUILD)/tsan \
		UNIT="shim_blocks shim_chan shim_tables shim_pipe worker_drain worker_calls" test-unit
	@+$(MAKE) --no-print-directory SAN=thread BUILD=$(BUILD)/tsan \
		LOCAL="twothreads allocations streams progress threads" test-local

.PHONY: test-local test-tsan
