/*
 * greeter.h: a service that neither the SDK nor the daemon knows, as a third party would ship it.
 */
#ifndef EXAMPLE_GREETER_H
#define EXAMPLE_GREETER_H

#include <matrixos/abi/service.h>

MOS_BEGIN_C

#define EXAMPLE_GREETER_1 "example.greeter/1"
#define EXAMPLE_GREETER_1_MINOR 1

/* Told of each greeting. Frozen. */
typedef struct example_listener {
  void *ctx;
  void (*greeted)(void *ctx, mos_str name);
} example_listener;

typedef struct example_greeter_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;

  /* {"greeting"} for a name; "slow" waits until the call is cancelled. */
  mos_status (*greet)(void *self, const mos_call *call, mos_str name, int64_t times, mos_buf *out_json,
                      mos_error *error);
  /* All names so far, one item each. */
  mos_status (*names)(void *self, const mos_call *call, mos_sink items, mos_error *error);
  /* [loop] How many; answers through done as well. */
  mos_status (*count)(void *self, const mos_call *call, mos_completion done, uint64_t *out_count, mos_error *error);
  /* [loop] Tells of greetings after the first `since` until unlisten(). */
  mos_status (*listen)(void *self, uint64_t since, mos_str prefix, example_listener listener, uint64_t *out_id,
                       mos_error *error);
  mos_status (*unlisten)(void *self, uint64_t id, mos_error *error);
  /* Minor 1. */
  mos_status (*forget)(void *self, uint32_t most, mos_error *error);
  /* Greetings as they happen, until the call is cancelled. */
  mos_status (*follow)(void *self, const mos_call *call, mos_sink items, mos_error *error);
} example_greeter_v1;

#define EXAMPLE_GREETER_1_FUNCTIONS(F)                                                                                 \
  F(4, example_greeter_v1, greet, "csib", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_ONCE, 0,                                  \
    (const mos_call *, mos_str, int64_t, mos_buf *))                                                                   \
  F(2, example_greeter_v1, names, "ck", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_REPEATABLE | MOS_FUNCTION_LIST, 0,          \
    (const mos_call *, mos_sink))                                                                                      \
  F(3, example_greeter_v1, count, "cdt", 0, 0, (const mos_call *, mos_completion, uint64_t *))                         \
  F(4, example_greeter_v1, listen, "Uswt", MOS_FUNCTION_WATCH, 0, (uint64_t, mos_str, example_listener, uint64_t *))   \
  F(1, example_greeter_v1, unlisten, "U", MOS_FUNCTION_UNWATCH, 0, (uint64_t))                                         \
  F(1, example_greeter_v1, forget, "u", 0, 1, (uint32_t))                                                              \
  F(2, example_greeter_v1, follow, "ck", MOS_FUNCTION_BLOCKS, 1, (const mos_call *, mos_sink))

MOS_END_C

#endif
