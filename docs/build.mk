# The examples in docs/diagnosis.md: real output, made anew. LAB=1: those in a Xen host too.
docs-examples: all ## run what docs/diagnosis.md shows, and put the output there (LAB=1: in Xen too)
	@GVM_BUILD=$(BUILD) $(PYTHON) docs/examples.py $(BUILD) $(if $(LAB),--lab)

.PHONY: docs-examples
