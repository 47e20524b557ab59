/* SPDX-License-Identifier: MIT */
/*
 * vgpuif.h - the vgpu device protocol: remote CUDA for Xen guests.
 *
 * This header is the specification of everything that two sides of a trust boundary share, except
 * the calls themselves, which are in calls.spec. It is written so that either end can be
 * implemented from it alone. All integers are little endian; all offsets are in octets.
 *
 * Glossary
 *   frontend     the guest's kernel driver (xen-vgpufront), owner of all shared memory
 *   backend      gvm-backd and its workers, in the domain named by backend-id (often dom0)
 *   channel      the shared memory and event channel between ONE guest process and ONE worker
 *   lane         a guest thread within a channel; 0 .. VGPU_LANES-1
 *   ticket       number of a record within its channel: 1, 2, 3, ... (wraps at 2^32, skips nothing)
 *   pool chunk   guest memory granted to the worker for bulk data and pinned allocations
 *
 * ===========================================================================================
 * 1. XenStore
 * ===========================================================================================
 * Key names are generated from xenstore-schema/vgpu.schema, which also holds their types, ranges
 * and writers. An example of both directories, guest domain 5, device 0, backend in domain 0:
 *
 * /local/domain/0/backend/vgpu/5/0/            owner 0, readable by 5
 *     frontend = "/local/domain/5/device/vgpu/0"      toolstack
 *     frontend-id = "5"                               toolstack
 *     online = "1"                                    toolstack; 0: do not wait for a reconnect
 *     state = "4"                                     backend, XenbusState
 *     uuid = "0f0d..."                                toolstack; the domain's UUID
 *     device = "0"                                    toolstack; GPU index or "GPU-<uuid>"
 *     mem = "1073741824"                              toolstack; device memory quota, bytes; 0: all
 *     weight = "256"                                  toolstack; share of GPU time, 1..65535
 *     cap = "50"                                      toolstack; per cent of GPU time, 0: no limit
 *     processes = "4"                                 toolstack; guest processes, may be absent
 *     versions = "1"                                  backend; comma separated, compare by token
 *     max-channels = "16"                             backend; channels at a time, 1..256
 *     max-pages = "65536"                             backend; pages granted by all channels, 4 KiB
 *     error = "..."                                   backend; one line, the last refusal
 * /local/domain/5/device/vgpu/0/               owner 5, readable by 0
 *     backend = "/local/domain/0/backend/vgpu/5/0"    toolstack
 *     backend-id = "0"                                toolstack
 *     state = "4"                                     frontend, XenbusState
 *     version = "1"                                   frontend; one token of `versions`
 *     ring-ref = "8"                                  frontend; grant of the control ring page
 *     event-channel = "12"                            frontend; unbound port of the control ring
 *
 * The toolstack may change mem, weight, cap and processes at any time; the backend watches them.
 *
 * States: backend 1 -> 2 when device, quota and limits are known; frontend, seeing 2 while in 1,
 * writes its keys in one transaction and goes to 3; backend validates, maps, binds, goes to 4;
 * frontend, seeing 4 while in 3, goes to 4 and creates /dev/vgpuN. Closing: either side 5, the
 * other answers 5, then both 6. A backend that is `online` answers a frontend that restarts at 1
 * with 2. A restarted broker leaves 4 in place (section 2.3).
 *
 * ===========================================================================================
 * 2. Control ring
 * ===========================================================================================
 * One page in the layout of Xen's public/io/ring.h (header 64 octets, then 32 slots of 64),
 * requests from the frontend, responses from the backend. Slow path only. Request codes 0..15 are
 * never valid, so that a zeroed slot is not a request. Reserved fields are 0 and are checked.
 *
 * 2.1 Request (64 octets)                      2.2 Response (64 octets)
 *   0  u32 id      echoed                        0  u32 id
 *   4  u16 op      VGPU_CTL_*                    4  u16 op      as in the request
 *   6  u16 flags   0                             6  u16 flags   0
 *   8  u32 channel chosen by the frontend,       8  i32 status  0 or -XEN_E*
 *                  1..max-channels              12  u32 channel
 *  12  ... per code (struct vgpu_ctl_req)       16  ... per code (struct vgpu_ctl_rsp)
 *
 * 2.3 Requests are idempotent: a create or add for what exists with the same parameters answers 0
 * again; a destroy or drop of what does not exist answers 0. A restarted broker maps the ring
 * again, binds the same port again, starts at the rsp_prod in the page after checking
 * req_prod - rsp_prod <= 32, and may therefore see a request a second time.
 *
 * 2.4 Grant directory. Lists of pages are passed as a chain of directory pages, each granted to
 * the backend: u32 next (grant reference of the next directory page, 0: last), u32 count
 * (1..VGPU_DIR_REFS, every page but the last is full), u32 refs[]. References are > 0. The backend
 * copies each directory page once and unmaps it before it uses the numbers.
 *
 * 2.5 Over the local transport the same requests and responses travel as SOCK_SEQPACKET messages,
 * descriptors (memfd, eventfd) take the place of grant references and ports, and gref_dir and port
 * are 0. A CREATE response carries three descriptors: channel memfd, eventfd to the worker,
 * eventfd to the guest; an ADD_CHUNK response one: the chunk's memfd. A channel of
 * VGPU_LOCAL_RING_ORDER and a first chunk, number 0, of VGPU_LOCAL_CHUNK_PAGES are to be had without
 * delay.
 *
 * 2.6 Suspend. CHECKPOINT with phase 0, when no process of the guest runs any more: each worker
 * finishes what it was asked for and saves its state; the answer has a token, never 0. An error: none
 * is saved, all go on, and the suspend should be given up (the reason is in the node `error`). Until
 * the guest goes on nothing of it is done: the worker has its sleep flag set, and goes on with
 * CHECKPOINT, phase 1 (the suspend was cancelled); where it can, with a doorbell before that. In a restored
 * domain, on a new connection, for each channel: CREATE with the token, pages granted and port bound
 * anew, everything else as before; ADD_CHUNK for each chunk, with the number and size that it had;
 * RESUME_CHANNEL, upon which the worker reads its state and drains. The same addresses are answered as
 * before. A token is good once.
 *
 * ===========================================================================================
 * 3. Channel
 * ===========================================================================================
 * VGPU_CH_PAGES(order) pages, all granted read-write, in this order:
 *   page 0        struct vgpu_ch_front   written by the guest process
 *   page 1        struct vgpu_ch_back    written by the worker
 *   pages 2..17   replies: VGPU_LANES slots of VGPU_REPLY_SLOT octets, written by the worker
 *   pages 18..21  counters: VGPU_COUNTERS u32, written by the worker (section 3.5)
 *   then          command ring, 2^order pages, written by the guest process
 *
 * 3.1 Records. The command ring is a stream of records, each VGPU_REC_ALIGN aligned and contiguous:
 *   0  u32 len     octets including this header; multiple of VGPU_REC_ALIGN; 16..VGPU_REC_MAX
 *   4  u16 op      VGPU_OP_* (calls.spec); VGPU_OP_PAD: skip len octets (only to the ring's end)
 *   6  u16 lane
 *   8  u32 ticket  previous record's ticket + 1 (PAD records carry the ticket of the next record)
 *  12  u32 flags   VGPU_REC_REPLY: answer in the lane's reply slot
 *  16  payload, laid out by calls.spec
 * Producer: check space against `cmd_cons` (cmd_prod + len - cmd_cons <= ring size), write the
 * record, store-release `cmd_prod`, full fence, read `sleeping`; if set, ring the doorbell.
 * Consumer: load-acquire `cmd_prod`, check cmd_prod - own cons <= ring size, copy header, check,
 * copy record, store-release `cmd_cons` (a private copy exists: the space may be reused at once).
 * Records start in ticket order. Any violation kills the channel, and nothing else.
 *
 * 3.2 Replies. One outstanding replied call per lane. The worker fills the lane's slot
 *   0  u32 ticket, 4  i32 status (CUresult), 8  u32 len of payload, 12 u32 0, 16 payload
 * then store-release reply_ticket[lane] = ticket, full fence, read front.waiting[lane]; if set,
 * signal the event channel.
 *
 * 3.3 Sleeping. Sleeper: set own flag, full fence, re-check the condition, wait for an event, clear
 * the flag. Guest flags: waiting[lane] (reply or counter), wait_space (ring full). Worker flag:
 * sleeping. Setting a flag without sleeping costs a spurious event and is allowed.
 *
 * 3.4 Errors. A posted call that fails with a non-sticky error latches it: lane_err[lane] is
 * (count << 16 | CUresult), count incremented at each new error; the guest compares with the value
 * it saw last. Sticky errors (the context is unusable) are in `sticky` and stay.
 * alive is 1 from assignment on and becomes 0 when the worker is gone (cleared by the kernel at
 * unmap, or by the broker); then no reply will come and every wait must end with an error.
 *
 * 3.5 Counters. EventRecord (not EventMark) and other calls name a counter slot and a value; when
 * the work before it in the stream is complete the worker stores the value in counters[slot]
 * (monotonic modulo 2^32 per slot) and signals as for a reply if any waiting[] flag is set.
 */
#ifndef VGPUIF_H
#define VGPUIF_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#endif

#define VGPU_PROTOCOL_VERSION 1

/* --- control ring ------------------------------------------------------------------------- */

#define VGPU_CTL_CREATE_CHANNEL  16
#define VGPU_CTL_DESTROY_CHANNEL 17
#define VGPU_CTL_ADD_CHUNK       18
#define VGPU_CTL_DROP_CHUNK      19
#define VGPU_CTL_CHECKPOINT      20
#define VGPU_CTL_RESUME_CHANNEL  21

#define VGPU_MAX_CHANNELS      256
#define VGPU_MAX_CHUNKS        64    /* per channel, ids 0..63 */
#define VGPU_MAX_CHUNK_PAGES   16384 /* 64 MiB */
#define VGPU_DIR_REFS          1022
#define VGPU_LOCAL_RING_ORDER  9
#define VGPU_LOCAL_CHUNK_PAGES 8192 /* 32 MiB */

struct vgpu_ctl_req {
    uint32_t id;
    uint16_t op;
    uint16_t flags;
    uint32_t channel;
    uint32_t port;       /* CREATE: unbound port of the channel */
    uint32_t gref_dir;   /* CREATE, ADD_CHUNK: first grant directory page */
    uint32_t npages;     /* CREATE: VGPU_CH_PAGES(ring_order); ADD_CHUNK: 1..VGPU_MAX_CHUNK_PAGES */
    uint32_t ring_order; /* CREATE: VGPU_RING_ORDER_MIN..MAX */
    uint32_t
        window_try; /* CREATE: 0, 1, ...: which address windows to offer, when the last were taken */
    uint32_t chunk; /* ADD_CHUNK, DROP_CHUNK: 0..VGPU_MAX_CHUNKS-1 */
    uint32_t uid;   /* CREATE: the guest's uid and pid of the process, for sharing and display */
    uint32_t pid;
    uint32_t phase;  /* CHECKPOINT: 0 begin, 1 cancel */
    uint32_t token0; /* CREATE: what CHECKPOINT answered, for a channel that was saved; else 0 */
    uint32_t token1;
    uint32_t token2;
    uint32_t token3;
};

struct vgpu_ctl_rsp {
    uint32_t id;
    uint16_t op;
    uint16_t flags;
    int32_t status;
    uint32_t channel;
    uint64_t pool_base; /* CREATE: address windows, page aligned, chosen by the worker */
    uint64_t pool_size;
    uint64_t dev_base;
    uint64_t dev_size;
    uint64_t addr; /* ADD_CHUNK: where the chunk is in the worker, inside the pool window */
    uint32_t reserved[2];
};
/* CHECKPOINT: the token is in pool_base and pool_size, as they lie. */
#define VGPU_CTL_TOKEN 16 /* octets */

struct vgpu_grant_dir {
    uint32_t next;
    uint32_t count;
    uint32_t refs[VGPU_DIR_REFS];
};

/* --- channel ------------------------------------------------------------------------------ */

#define VGPU_PAGE_SIZE       4096u
#define VGPU_LANES           128u
#define VGPU_REPLY_SLOT      512u
#define VGPU_REPLY_MAX       (VGPU_REPLY_SLOT - 16u) /* payload octets */
#define VGPU_COUNTERS        4096u
#define VGPU_RING_ORDER_MIN  4u /* 64 KiB */
#define VGPU_RING_ORDER_MAX  9u /* 2 MiB */
#define VGPU_CH_FRONT_PAGE   0u
#define VGPU_CH_BACK_PAGE    1u
#define VGPU_CH_REPLY_PAGE   2u
#define VGPU_CH_COUNT_PAGE   18u
#define VGPU_CH_RING_PAGE    22u
#define VGPU_CH_PAGES(order) (VGPU_CH_RING_PAGE + (1u << (order)))

#define VGPU_REC_ALIGN 16u
#define VGPU_REC_MAX   49152u /* so that a 32 KiB parameter block or inline copy fits */
#define VGPU_REC_REPLY 1u     /* flags */
#define VGPU_OP_PAD    1u

struct vgpu_rec {
    uint32_t len;
    uint16_t op;
    uint16_t lane;
    uint32_t ticket;
    uint32_t flags;
};

struct vgpu_ch_front {
    uint32_t magic; /* VGPU_CH_MAGIC, written before CREATE */
    uint32_t ring_order;
    uint32_t pad0[14];
    uint64_t cmd_prod; /* octets produced since creation */
    uint32_t pad1[14];
    uint32_t wait_space;
    uint32_t pad2[15];
    uint32_t waiting[VGPU_LANES];
    uint8_t pad3[4096 - 192 - 4 * 128];
};
#define VGPU_CH_MAGIC 0x56475055u /* "VGPU" */

struct vgpu_ch_back {
    uint8_t alive; /* octet 0: target of the unmap notification */
    uint8_t pad0[3];
    uint32_t sticky; /* CUresult, 0 = none */
    uint32_t output; /* != 0: kernels have printed text that OutputFetch has not taken yet */
    uint32_t
        prints; /* != 0: kernels may print text that the device hands over in calls that wait */
    uint32_t pad1[12];
    uint64_t cmd_cons; /* octets consumed */
    uint32_t pad2[14];
    uint32_t sleeping;
    uint32_t pad3[15];
    uint32_t lane_err[VGPU_LANES];
    uint32_t reply_ticket[VGPU_LANES];
    uint8_t pad4[4096 - 192 - 8 * 128];
};

struct vgpu_reply {
    uint32_t ticket;
    int32_t status;
    uint32_t len;
    uint32_t reserved;
    uint8_t payload[VGPU_REPLY_MAX];
};

#ifndef __cplusplus
_Static_assert(sizeof(struct vgpu_ctl_req) == 64, "control request is 64 octets");
_Static_assert(sizeof(struct vgpu_ctl_rsp) == 64, "control response is 64 octets");
_Static_assert(sizeof(struct vgpu_grant_dir) == 4096, "directory is a page");
_Static_assert(sizeof(struct vgpu_rec) == 16, "record header");
_Static_assert(sizeof(struct vgpu_ch_front) == 4096, "front page");
_Static_assert(sizeof(struct vgpu_ch_back) == 4096, "back page");
_Static_assert(sizeof(struct vgpu_reply) == VGPU_REPLY_SLOT, "reply slot");
#endif

#endif
