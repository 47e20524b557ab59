# Generated protocol code: stubs, decoder, control decoder, trace decoder, tables.
GENERATED :=
