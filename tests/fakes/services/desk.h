/* desk.h: a service of a third party with functions of every kind that can be called from another process. */
#ifndef EXAMPLE_DESK_H
#define EXAMPLE_DESK_H

#include <matrixos/abi/service.h>

MOS_BEGIN_C

#define EXAMPLE_DESK_1 "example.desk/1"
#define EXAMPLE_DESK_1_MINOR 0

typedef struct example_desk_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;

  /* {"text", "operation", "trace"}; "slow:MS" takes so long, "hang" until it is cancelled, "throw" fails. */
  mos_status (*echo)(void *self, const mos_call *call, mos_str text, mos_buf *out_json, mos_error *error);
  /* So many items, each of so many bytes. */
  mos_status (*count)(void *self, const mos_call *call, int64_t items, uint32_t bytes, mos_sink sink, mos_error *error);
  /* [loop] The text through done; the number is its length. "never" is never answered, "no" is refused. */
  mos_status (*ask)(void *self, const mos_call *call, mos_str text, mos_completion done, uint64_t *out_length,
                    mos_error *error);
  /* [loop] The text backwards. */
  mos_status (*peek)(void *self, mos_str text, mos_buf *out, mos_error *error);
  /* [loop] Each letter of the text. */
  mos_status (*letters)(void *self, mos_str text, mos_sink sink, mos_error *error);
} example_desk_v1;

#define EXAMPLE_DESK_1_FUNCTIONS(F)                                                                                    \
  F(3, example_desk_v1, echo, "csb", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_REPEATABLE, 0,                                 \
    (const mos_call *, mos_str, mos_buf *))                                                                            \
  F(4, example_desk_v1, count, "ciuk", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_LIST, 0,                                     \
    (const mos_call *, int64_t, uint32_t, mos_sink))                                                                   \
  F(4, example_desk_v1, ask, "csdt", 0, 0, (const mos_call *, mos_str, mos_completion, uint64_t *))                    \
  F(2, example_desk_v1, peek, "sb", 0, 0, (mos_str, mos_buf *))                                                        \
  F(2, example_desk_v1, letters, "sk", 0, 0, (mos_str, mos_sink))

MOS_END_C

#endif
