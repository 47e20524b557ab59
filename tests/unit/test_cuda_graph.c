/* SPDX-License-Identifier: MIT */
/*
 * Functions of the guest in streams and graphs, on a library that only pretends to be a driver's.
 */
#include "dom0-backend/device/device_graph.h"
#include "tests/unit/cuda_case.h"

static struct dev_gate *gate;

static void reached(void *arg, struct dev_gate *g)
{
    gate = g;
}

/* One function in a stream, and its end. The word that the stream waits for stays in f->wait_word. */
static void call_in_stream(void)
{
    gate = NULL;
    CHECK(ops->graph->stream_call(dev, NULL, reached, NULL) == 0);
    f->host_fn(f->host_arg);
    CHECK(gate);
    ops->graph->call_done(dev, gate);
    CHECK(*f->wait_word == f->wait_value);
}

/* A stream that has been told to go on may not have looked yet: a graph must leave its word alone, and
 * the next function in a stream must only raise it. */
CASE(test_gate_of_stream)
{
    const struct dev_node call = {.type = DEV_NODE_CALL, .call = {.fn = reached}};
    struct dev_exec *x[3];
    uint32_t *word, value, bad;

    open_driver(0);
    for (int i = 0; i < 3; i++) {
        call_in_stream();
        word = f->wait_word;
        value = f->wait_value;
        CHECK(ops->graph->exec_create(dev, &call, 1, NULL, 0, &x[i], &bad) == 0);
        CHECK((int32_t)(*word - value) >= 0);
        if (i)
            CHECK(ops->graph->exec_destroy(dev, x[i - 1]) == 0);
        call_in_stream();
        CHECK((int32_t)(*word - value) >= 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate_of_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
