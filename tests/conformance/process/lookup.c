/* SPDX-License-Identifier: MIT */
/* covers: cuGetProcAddress_v2 */
/* Every name of the driver's interface, and from which versions of CUDA on it is found; what is
 * found for a name is the same for as long as it is the same function. */
#include <cuda.h>

#include "transcript.h"

static const char *const names[] = {
#include "process/names.inc"
};

int main(void)
{
    static const int versions[] = {2000,  2010,  2020,  2030,  3000,  3010,  3020,  4000,  4010,
                                   4020,  5000,  5050,  6000,  6050,  7000,  7050,  8000,  9000,
                                   9010,  9020,  10000, 10010, 10020, 11000, 11010, 11020, 11030,
                                   11040, 11050, 11060, 11070, 11080, 12000, 12010, 12020, 12030,
                                   12040, 12050, 12060, 12080, 12090, 13000};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        void *last = NULL, *own = NULL;

        printf("%s =", names[i]);
        for (size_t k = 0; k < sizeof(versions) / sizeof(versions[0]); k++) {
            CUdriverProcAddressQueryResult st = 0;
            void *fn = NULL, *twin = NULL;
            int rc = cuGetProcAddress_v2(names[i], &fn, versions[k], 0, &st);

            cuGetProcAddress_v2(names[i], &twin, versions[k], 2, NULL);
            if (fn != last || (twin != fn) != (own != last))
                printf(" %d%s", versions[k], twin != fn ? "p" : "");
            if (k == 0 && !fn)
                printf(" (%d %d)", rc, st);
            last = fn;
            own = twin;
        }
        printf("\n");
    }
    return 0;
}
