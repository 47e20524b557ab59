# All tests and checks. The groups are in tests/run.py, each one a make target that ends with
# `N passed, N failed, N skipped`.
GROUPS ?=

test: ## all tests; GROUPS="unit fuzz" chooses
	@$(PYTHON) tests/run.py --build $(BUILD) $(GROUPS)

lint: $(GENERATED) ## formatting, clang-tidy, shellcheck, rules of the tree
	@$(PYTHON) tests/lint.py $(BUILD) $(patsubst %/,%,$(dir $(CUDA_INC)))

lint-quick: $(GENERATED)
	@$(PYTHON) tests/lint.py $(BUILD) --quick

.PHONY: test lint lint-quick
