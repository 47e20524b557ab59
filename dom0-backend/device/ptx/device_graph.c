/* SPDX-License-Identifier: MIT */
#include "dom0-backend/device/ptx/device_int.h"

const struct dev_graph_ops dev_ptx_graph_ops = {
    .stream_call = swdev_stream_call,
    .call_done = swdev_call_done,
};
