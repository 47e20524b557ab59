/* SPDX-License-Identifier: MIT */
/* covers: cudaUserObjectCreate cudaUserObjectRetain cudaUserObjectRelease
 * cudaGraphRetainUserObject cudaGraphReleaseUserObject */
/* User objects: who keeps them alive, and when their destructor runs. */
#include <cuda_runtime_api.h>
#include <semaphore.h>
#include <time.h>

#include "transcript.h"

static volatile int gone;
static sem_t sem;

static void destroy(void *p)
{
    gone += *(int *)p;
    sem_post(&sem);
}

/* Waits for a destructor, at most two seconds. */
static void wait_gone(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += 2;
    T_BOOL("destroyed", sem_timedwait(&sem, &t) == 0);
    T_INT("gone", gone);
}

int main(void)
{
    cudaUserObject_t o;
    cudaGraph_t g, c;
    cudaGraphNode_t n;
    cudaGraphExec_t x;
    cudaStream_t s;
    int v = 1;

    sem_init(&sem, 0, 0);
    T_OK(cudaStreamCreate(&s));
    T(cudaUserObjectCreate(&o, &v, destroy, 1, 0));
    T(cudaUserObjectCreate(&o, &v, destroy, 0, cudaUserObjectNoDestructorSync));
    T(cudaUserObjectCreate(&o, &v, NULL, 1, cudaUserObjectNoDestructorSync));
    T(cudaUserObjectCreate(NULL, &v, destroy, 1, cudaUserObjectNoDestructorSync));
    T_OK(cudaUserObjectCreate(&o, &v, destroy, 1, cudaUserObjectNoDestructorSync));
    T(cudaUserObjectRetain(o, 2));
    T(cudaUserObjectRetain(o, 0));
    T(cudaUserObjectRelease(o, 2));
    T_INT("gone", gone);
    T(cudaUserObjectRelease(o, 1));
    wait_gone();

    T_OK(cudaUserObjectCreate(&o, &v, destroy, 1, cudaUserObjectNoDestructorSync));
    T_OK(cudaGraphCreate(&g, 0));
    T_OK(cudaGraphAddEmptyNode(&n, g, NULL, 0));
    T(cudaGraphRetainUserObject(g, o, 1, 0));
    T(cudaGraphRetainUserObject(g, o, 1, 8));
    T(cudaGraphRetainUserObject(g, NULL, 1, 0));
    T(cudaUserObjectRelease(o, 1));
    T_INT("gone", gone);
    T(cudaGraphReleaseUserObject(g, o, 1));
    wait_gone();

    /* A graph, its clone and its executable graph hold it. */
    T_OK(cudaUserObjectCreate(&o, &v, destroy, 1, cudaUserObjectNoDestructorSync));
    T(cudaGraphRetainUserObject(g, o, 1, cudaGraphUserObjectMove));
    T_OK(cudaGraphClone(&c, g));
    T_OK(cudaGraphInstantiate(&x, g, 0));
    T(cudaGraphDestroy(g));
    T_INT("gone", gone);
    T(cudaGraphDestroy(c));
    T_INT("gone", gone);
    T(cudaGraphLaunch(x, s));
    T(cudaStreamSynchronize(s));
    T(cudaGraphExecDestroy(x));
    wait_gone();
    return 0;
}
