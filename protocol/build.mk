# Generated protocol code: stubs, decoder, control decoder, trace decoder, tables, fuzz seeds.
GEN_NAMES := calls stubs decode ctl trace
GEN_FILES := $(foreach n,$(GEN_NAMES),$(BUILD)/gen/$(n).h $(BUILD)/gen/$(n).c)
# What every compilation waits for; other folders add what they generate.
GENERATED := $(BUILD)/gen/.stamp

# One run makes all of them and leaves unchanged files untouched, so a stamp carries the date.
$(BUILD)/gen/.stamp: protocol/calls.spec $(wildcard protocol/gen/*.py)
	$(PYTHON) protocol/gen/gen.py protocol/calls.spec $(BUILD)/gen
	@touch $@

$(GEN_FILES): $(BUILD)/gen/.stamp ;

$(BUILD)/obj/gen/%.o: $(BUILD)/gen/%.c | $(GENERATED)
	@mkdir -p $(@D)
	$(CC) $(GVM_CFLAGS) -c -o $@ $<

gen_objs = $(patsubst %,$(BUILD)/obj/gen/%.o,$(1))
PROTO_STUB_OBJS := $(call gen_objs,stubs)
PROTO_DECODE_OBJS := $(call gen_objs,decode)
PROTO_CTL_OBJS := $(call gen_objs,ctl)
PROTO_CALLS_OBJS := $(call gen_objs,calls)
# The trace decoder with the tables that it needs.
PROTO_TRACE_OBJS := $(call gen_objs,trace calls ctl)
