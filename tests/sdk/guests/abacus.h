/* abacus.h: a service of a third party whose functions all block, so that its provider can run in its own process. */
#ifndef EXAMPLE_ABACUS_H
#define EXAMPLE_ABACUS_H

#include <matrixos/abi/service.h>

MOS_BEGIN_C

#define EXAMPLE_ABACUS_1 "example.abacus/1"
#define EXAMPLE_ABACUS_1_MINOR 0

typedef struct example_abacus_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;

  /* {"sum", "pid": of whoever counts} */
  mos_status (*add)(void *self, const mos_call *call, int64_t a, int64_t b, mos_buf *out_json, mos_error *error);
  /* Counts to infinity, whatever the call says of its deadline. */
  mos_status (*all)(void *self, const mos_call *call, mos_buf *out_json, mos_error *error);
} example_abacus_v1;

#define EXAMPLE_ABACUS_1_FUNCTIONS(F)                                                                                  \
  F(4, example_abacus_v1, add, "ciib", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_REPEATABLE, 0,                               \
    (const mos_call *, int64_t, int64_t, mos_buf *))                                                                   \
  F(2, example_abacus_v1, all, "cb", MOS_FUNCTION_BLOCKS, 0, (const mos_call *, mos_buf *))

MOS_END_C

#endif
