// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * vgpufront_pool.c - pool chunks: memory of a channel for bulk data and pinned allocations.
 *
 *   ADDING -> READY -> DROPPING -> gone        GONE: the channel has taken the memory back
 */
#include "vgpufront.h"
#include "vgpufront_fault.h"

#include <linux/ratelimit.h>
#include <linux/slab.h>

enum chunk_state {
	CHUNK_ADDING,
	CHUNK_READY,
	CHUNK_DROPPING,
	CHUNK_GONE,
};

struct vgpufront_chunk {
	struct kref ref;
	struct vgpufront_channel *ch; /* which outlives all requests in flight */
	u32 id;
	/* Under ch->lock. */
	enum chunk_state state;
	bool orphan; /* nobody waits for it any more: drop it as soon as it is there */
	struct vgpufront_area *area;
	u64 addr;
	int add_result, drop_result;
	struct vgpufront_req add, drop;
};

static void drop_done(struct vgpufront_req *req);

static void chunk_release(struct kref *ref)
{
	struct vgpufront_chunk *chunk = container_of(ref, struct vgpufront_chunk, ref);

	WARN_ON(chunk->area);
	kfree(chunk);
}

static void chunk_put(struct vgpufront_chunk *chunk)
{
	kref_put(&chunk->ref, chunk_release);
}

/* Takes the chunk out of the table and gives its memory back; VMAs keep their pages. */
static void chunk_remove(struct vgpufront_chunk *chunk)
{
	struct vgpufront_channel *ch = chunk->ch;

	lockdep_assert_held(&ch->lock);
	chunk->state = CHUNK_GONE;
	vgpufront_area_destroy(ch, chunk->area);
	chunk->area = NULL;
	ch->chunk[chunk->id] = NULL;
	chunk_put(chunk);
}

void vgpufront_pool_shut(struct vgpufront_channel *ch)
{
	u32 id;

	for (id = 0; id < VGPU_MAX_CHUNKS; id++) {
		if (ch->chunk[id])
			chunk_remove(ch->chunk[id]);
	}
}

static void chunk_submit(struct vgpufront_chunk *chunk, struct vgpufront_req *req,
			 void (*finish)(struct vgpufront_req *))
{
	vgpufront_channel_get(chunk->ch);
	kref_get(&chunk->ref);
	vgpufront_ctl_submit(chunk->ch->info, chunk->ch->gen, req, finish);
}

/* The last thing that finish() does. */
static void chunk_finished(struct vgpufront_chunk *chunk)
{
	struct vgpufront_channel *ch = chunk->ch;

	wake_up_all(&ch->ctl_wait);
	chunk_put(chunk);
	vgpufront_channel_put(ch);
}

static void chunk_drop(struct vgpufront_chunk *chunk)
{
	lockdep_assert_held(&chunk->ch->lock);
	chunk->state = CHUNK_DROPPING;
	chunk->drop.msg = (struct vgpu_ctl_req){
		.op = VGPU_CTL_DROP_CHUNK,
		.channel = chunk->ch->id,
		.chunk = chunk->id,
	};
	chunk_submit(chunk, &chunk->drop, drop_done);
}

static bool addr_ok(const struct vgpufront_chunk *chunk, u64 addr)
{
	const struct vgpufront_channel *ch = chunk->ch;
	u64 len = (u64)chunk->area->npages << PAGE_SHIFT;

	return PAGE_ALIGNED(addr) && addr >= ch->pool_base && len <= ch->pool_size &&
	       addr - ch->pool_base <= ch->pool_size - len;
}

static void add_done(struct vgpufront_req *req)
{
	struct vgpufront_chunk *chunk = container_of(req, struct vgpufront_chunk, add);
	struct vgpufront_channel *ch = chunk->ch;
	int err = req->status;

	vgpufront_fault("added");
	mutex_lock(&ch->lock);
	vgpufront_dir_destroy(&req->dir);
	if (chunk->state == CHUNK_GONE) {
		err = -EPIPE;
	} else if (err) {
		chunk_remove(chunk);
		if (err == -ENODEV) /* the link failed just before the channel does */
			err = -EPIPE;
	} else if (!addr_ok(chunk, req->rsp.addr)) {
		pr_warn_ratelimited("%s: channel %u: the backend puts chunk %u at %#llx, outside "
				    "its pool window %#llx+%#llx\n",
				    ch->info->name, ch->id, chunk->id, req->rsp.addr, ch->pool_base,
				    ch->pool_size);
		err = -EPROTO;
		chunk_drop(chunk);
	} else {
		chunk->addr = req->rsp.addr;
		chunk->state = CHUNK_READY;
		if (chunk->orphan && ch->state == VGPUFRONT_CH_LIVE)
			chunk_drop(chunk);
	}
	chunk->add_result = err;
	smp_store_release(&req->done, true);
	mutex_unlock(&ch->lock);
	chunk_finished(chunk);
}

static void drop_done(struct vgpufront_req *req)
{
	struct vgpufront_chunk *chunk = container_of(req, struct vgpufront_chunk, drop);
	struct vgpufront_channel *ch = chunk->ch;
	int err = req->status;

	vgpufront_fault("dropped");
	mutex_lock(&ch->lock);
	if (err == -ENODEV)
		err = -EPIPE;
	if (chunk->state == CHUNK_GONE)
		err = -EPIPE;
	else if (err)
		chunk->state = CHUNK_READY; /* the backend still has it */
	else
		chunk_remove(chunk);
	chunk->drop_result = err;
	smp_store_release(&req->done, true);
	mutex_unlock(&ch->lock);
	if (err && err != -EPIPE)
		pr_warn_ratelimited(
			"%s: channel %u: the backend could not drop chunk %u: error %d\n",
			ch->info->name, ch->id, chunk->id, err);
	chunk_finished(chunk);
}

static int chunk_install(struct vgpufront_chunk *chunk)
{
	struct vgpufront_channel *ch = chunk->ch;
	u32 id;
	int err;

	lockdep_assert_held(&ch->lock);
	if (ch->state != VGPUFRONT_CH_LIVE)
		return -EPIPE;
	for (id = 0; id < VGPU_MAX_CHUNKS && ch->chunk[id]; id++)
		;
	if (id == VGPU_MAX_CHUNKS) {
		pr_warn_ratelimited("%s: channel %u, pid %d: has all %u pool chunks that one "
				    "channel may have\n",
				    ch->info->name, ch->id, ch->tgid, VGPU_MAX_CHUNKS);
		return -ENOSPC;
	}
	err = vgpufront_dir_create(&chunk->add.dir, ch->otherend, chunk->area);
	if (err)
		return err;
	chunk->id = id;
	chunk->state = CHUNK_ADDING;
	chunk->add.msg = (struct vgpu_ctl_req){
		.op = VGPU_CTL_ADD_CHUNK,
		.channel = ch->id,
		.gref_dir = chunk->add.dir.refs[chunk->add.dir.npages - 1],
		.npages = chunk->area->npages,
		.chunk = id,
	};
	vgpufront_fault("add");
	ch->chunk[id] = chunk;
	kref_get(&chunk->ref);
	chunk_submit(chunk, &chunk->add, add_done);
	return 0;
}

static void readd_done(struct vgpufront_req *req)
{
	struct vgpufront_chunk *chunk = container_of(req, struct vgpufront_chunk, add);
	struct vgpufront_channel *ch = chunk->ch;
	int err = req->status;

	mutex_lock(&ch->lock);
	vgpufront_dir_destroy(&req->dir);
	if (!err && req->rsp.addr != chunk->addr)
		err = -EPROTO; /* programs have pointers to it */
	smp_store_release(&req->done, true);
	vgpufront_channel_chunk(ch, chunk->id, err);
	mutex_unlock(&ch->lock);
	chunk_finished(chunk);
}

/* In a restored domain: offers the next chunk from number `from` on. False: there are no more. */
bool vgpufront_pool_return(struct vgpufront_channel *ch, u32 from)
{
	struct vgpufront_chunk *chunk;
	int err;

	lockdep_assert_held(&ch->lock);
	while (from < VGPU_MAX_CHUNKS && !ch->chunk[from])
		from++;
	if (from == VGPU_MAX_CHUNKS)
		return false;
	chunk = ch->chunk[from];
	vgpufront_area_regrant(ch, chunk->area);
	err = vgpufront_dir_create(&chunk->add.dir, ch->otherend, chunk->area);
	if (err) {
		vgpufront_channel_returned(ch, err);
		return true;
	}
	chunk->add.msg = (struct vgpu_ctl_req){
		.op = VGPU_CTL_ADD_CHUNK,
		.channel = ch->id,
		.gref_dir = chunk->add.dir.refs[chunk->add.dir.npages - 1],
		.npages = chunk->area->npages,
		.chunk = from,
	};
	chunk_submit(chunk, &chunk->add, readd_done);
	return true;
}

/*
 * arg->npages: 1..VGPU_MAX_CHUNK_PAGES; sets chunk and addr. Errors: -EINVAL, -ENOSPC (caps, or 64
 * chunks), -ENOMEM, -EPIPE, -ETIMEDOUT, -EINTR (killed), or what the backend answered.
 */
int vgpufront_pool_add(struct vgpufront_channel *ch, struct vgpu_ioc_pool *arg)
{
	struct vgpufront_chunk *chunk;
	struct vgpufront_area *area;
	int err;

	if (arg->npages < 1 || arg->npages > VGPU_MAX_CHUNK_PAGES) {
		pr_notice_ratelimited(
			"%s: pid %d: pool chunk of %u pages refused; 1..%u are allowed\n",
			ch->info->name, ch->tgid, arg->npages, VGPU_MAX_CHUNK_PAGES);
		return -EINVAL;
	}
	err = vgpufront_channel_settle(ch);
	if (err)
		return err;
	chunk = kzalloc(sizeof(*chunk), GFP_KERNEL_ACCOUNT);
	if (!chunk)
		return -ENOMEM;
	kref_init(&chunk->ref); /* ours */
	chunk->ch = ch;
	/* Before the lock: this takes a while. Nobody else sees the chunk yet. */
	area = vgpufront_area_create(ch, arg->npages);
	if (IS_ERR(area)) {
		err = PTR_ERR(area);
		goto put;
	}
	chunk->area = area;

	mutex_lock(&ch->lock);
	err = chunk_install(chunk);
	mutex_unlock(&ch->lock);
	if (err) {
		vgpufront_area_destroy(ch, chunk->area);
		chunk->area = NULL;
		goto put;
	}
	err = vgpufront_req_wait(ch, &chunk->add);
	mutex_lock(&ch->lock);
	if (err) {
		chunk->orphan = true;
		if (chunk->state == CHUNK_READY && ch->state == VGPUFRONT_CH_LIVE)
			chunk_drop(chunk);
	} else {
		err = chunk->add_result;
		arg->chunk = chunk->id;
		arg->addr = chunk->addr;
	}
	mutex_unlock(&ch->lock);
put:
	chunk_put(chunk);
	return err;
}

static struct vgpufront_chunk *chunk_ready(struct vgpufront_channel *ch, u32 id)
{
	lockdep_assert_held(&ch->lock);
	if (id >= VGPU_MAX_CHUNKS || !ch->chunk[id] || ch->chunk[id]->state != CHUNK_READY)
		return NULL;
	return ch->chunk[id];
}

/* Errors: -EINVAL (no such chunk), -EPIPE, -ETIMEDOUT, -EINTR, or what the backend answered. */
int vgpufront_pool_drop(struct vgpufront_channel *ch, u32 id)
{
	struct vgpufront_chunk *chunk;
	int err = vgpufront_channel_settle(ch);

	if (err)
		return err;
	mutex_lock(&ch->lock);
	if (ch->state != VGPUFRONT_CH_LIVE) {
		mutex_unlock(&ch->lock);
		return -EPIPE;
	}
	chunk = chunk_ready(ch, id);
	if (!chunk) {
		mutex_unlock(&ch->lock);
		pr_notice_ratelimited("%s: pid %d: channel %u has no pool chunk %u to drop\n",
				      ch->info->name, ch->tgid, ch->id, id);
		return -EINVAL;
	}
	kref_get(&chunk->ref);
	chunk_drop(chunk);
	mutex_unlock(&ch->lock);

	err = vgpufront_req_wait(ch, &chunk->drop);
	if (!err) {
		mutex_lock(&ch->lock);
		err = chunk->drop_result;
		mutex_unlock(&ch->lock);
	}
	chunk_put(chunk);
	return err;
}

/* The memory of a chunk that may be mapped, or NULL; valid as long as ch->lock is held. */
struct vgpufront_area *vgpufront_pool_area(struct vgpufront_channel *ch, u32 id)
{
	struct vgpufront_chunk *chunk = chunk_ready(ch, id);

	return chunk ? chunk->area : NULL;
}
