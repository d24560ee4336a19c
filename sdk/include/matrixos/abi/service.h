/*
 * matrixos/abi/service.h: how a service describes itself.
 *
 * A service is a table of functions that one plugin provides and others use: struct_size, minor and self, then the
 * functions. Its header says what they do, for people; its description says it for the host, which then does for any
 * service, known to it or not, what it does for those of this SDK: consumers get a proxy that counts calls, keeps
 * deadlines, answers MOS_UNAVAILABLE while nobody provides the service, and goes on with the next provider.
 *
 * A header describes its service once, as a list that is expanded where it is needed:
 *
 *   #define EXAMPLE_GREETER_1 "example.greeter/1"
 *   typedef struct example_greeter_v1 {
 *     uint32_t struct_size;
 *     uint32_t minor;
 *     void *self;
 *     mos_status (*greet)(void *self, const mos_call *call, mos_str name, mos_buf *out_json, mos_error *error);
 *     mos_status (*forget)(void *self, uint64_t visitor, mos_error *error);
 *   } example_greeter_v1;
 *   #define EXAMPLE_GREETER_1_FUNCTIONS(F)                                                                        \
 *     F(3, example_greeter_v1, greet, "csb", MOS_FUNCTION_BLOCKS, 0, (const mos_call *, mos_str, mos_buf *))      \
 *     F(1, example_greeter_v1, forget, "U", 0, 0, (uint64_t))
 *
 * Each plugin that provides or uses it says in one of its source files
 *
 *   MOS_DESCRIBE_SERVICE(greeter, EXAMPLE_GREETER_1, 0, EXAMPLE_GREETER_1_FUNCTIONS)
 *
 * and names &greeter in its descriptor's services.
 */
#ifndef MATRIXOS_ABI_SERVICE_H
#define MATRIXOS_ABI_SERVICE_H

#include "base.h"

MOS_BEGIN_C

/* -------------------------------------------------------------------------------------------------- description */

/*
 * Flags of a function.
 * BLOCKS: it may take its time. The host lends it copies of its arguments on another thread and gives it up when its
 *   deadline has passed by some seconds; a function without the flag is called on the caller's thread and returns at
 *   once, as [loop] says. Its parameters may be c s j i u U k b.
 * REPEATABLE: it only reads, or reaches a state that it may find reached. ONCE: it takes effect once by the call's
 *   operation_id. Either is called again when the process of its provider dies in it (isolation=process); a stream of
 *   which something was seen is not.
 * LIST: its sink gets what there is and then ends, soon; without it a sink gets what happens.
 * WATCH: it leaves something behind in the provider, numbered by its parameter t, and calls it (parameter w or W) until
 * the function with UNWATCH is called with the number (its parameter U). The host calls it again for each new provider,
 *   with numbers (U) of 0. Its parameters may be s j i u U t w W.
 */
#define MOS_FUNCTION_BLOCKS UINT32_C(1)
#define MOS_FUNCTION_REPEATABLE UINT32_C(2)
#define MOS_FUNCTION_ONCE UINT32_C(4)
#define MOS_FUNCTION_LIST UINT32_C(8)
#define MOS_FUNCTION_WATCH UINT32_C(16)
#define MOS_FUNCTION_UNWATCH UINT32_C(32)

/* Most parameters between self and error. */
#define MOS_MOST_PARAMETERS 6

typedef void (*mos_any_function)(void);

/*
 * One function of a table. parameters: a letter for each one between self and error, which are always there:
 *   c  const mos_call *        s  mos_str             j  mos_str, JSON
 *   i  int64_t                 u  uint32_t            U  uint64_t
 *   k  mos_sink                d  mos_completion      b  mos_buf *, the answer
 *   t  uint64_t *, a number that is answered          w, W  two or three pointers by value: a context, one function
 *                                                           or two
 *   p  const void *, borrowed items, as many as the u behind it says
 *   r  const void *, a struct that is borrowed for the call
 * Frozen.
 */
typedef struct mos_function_v1 {
  const char *name;
  const char *parameters;
  uint32_t flags;
  uint32_t minor; /* of the service that has it first */
  /* Stands in the tables that the host makes: calls mos_forwarder_v1.call. */
  mos_any_function entry;
  /* Calls a provider's function of that type; args as for mos_forwarder_v1.call. */
  mos_status (*invoke)(mos_any_function function, void *self, void *const *args);
} mos_function_v1;
MOS_PIN(mos_function_v1, name, 0);
MOS_PIN(mos_function_v1, parameters, 8);
MOS_PIN(mos_function_v1, flags, 16);
MOS_PIN(mos_function_v1, minor, 20);
MOS_PIN(mos_function_v1, entry, 24);
MOS_PIN(mos_function_v1, invoke, 32);
MOS_PIN_SIZE(mos_function_v1, 40);

/* A service; static, constant data. functions: all of the table, in its order. */
typedef struct mos_service_v1 {
  uint32_t struct_size;
  uint32_t minor; /* of the header that it was made from */
  const char *id; /* "example.greeter/1" */
  const mos_function_v1 *functions;
  uint32_t functions_count;
  uint32_t reserved;
} mos_service_v1;
MOS_PIN(mos_service_v1, minor, 4);
MOS_PIN(mos_service_v1, id, 8);
MOS_PIN(mos_service_v1, functions, 16);
MOS_PIN(mos_service_v1, functions_count, 24);

/*
 * What stands behind a table's self where each function is an entry: takes any function of the service as its number in
 * the table, counted from 0, and pointers to the parameters behind self, in order, the mos_error * last.
 */
typedef struct mos_forwarder_v1 {
  mos_status (*call)(struct mos_forwarder_v1 *self, uint32_t function, void *const *args);
} mos_forwarder_v1;
MOS_PIN(mos_forwarder_v1, call, 0);

/* ------------------------------------------------------------------------------------------- making descriptions */

/*
 * Makes the static mos_service_v1 `variable` from a list as above. An entry of the list is
 *   F(number of parameters, table type, function, letters, flags, minor, (types of the parameters))
 */
#define MOS_DESCRIBE_SERVICE(variable, service_id, service_minor, LIST)                                                \
  LIST(MOS_SERVICE_THUNKS)                                                                                             \
  static const mos_function_v1 variable##_functions[] = {LIST(MOS_SERVICE_FUNCTION)};                                  \
  static const mos_service_v1 variable = {sizeof(mos_service_v1),                                                      \
                                          service_minor,                                                               \
                                          service_id,                                                                  \
                                          variable##_functions,                                                        \
                                          sizeof variable##_functions / sizeof variable##_functions[0],                \
                                          0};

/* Where a function stands in its table. */
#define MOS_SERVICE_INDEX(Table, name) ((uint32_t)((offsetof(Table, name) - 16) / sizeof(void *)))

/* The rest is how. */
#define MOS_SERVICE_FUNCTION(n, Table, name, letters, flags, minor, types)                                             \
  {#name, letters, flags, minor, (mos_any_function)Table##_##name##_entry, Table##_##name##_invoke},
#define MOS_SERVICE_THUNKS(n, Table, name, letters, flags, minor, types)                                               \
  MOS_SERVICE_EXPAND(MOS_SERVICE_THUNKS_##n, Table, name, MOS_SERVICE_LIST types)
#define MOS_SERVICE_EXPAND(macro, ...) macro(__VA_ARGS__)
#define MOS_SERVICE_LIST(...) __VA_ARGS__
#define MOS_SERVICE_THUNKS_1(Table, name, P1)                                                                          \
  static mos_status Table##_##name##_entry(void *self, P1 a1, mos_error *error) {                                      \
    void *const args[] = {(void *)&a1, (void *)&error};                                                                \
    mos_forwarder_v1 *to = (mos_forwarder_v1 *)self;                                                                   \
    return to->call(to, MOS_SERVICE_INDEX(Table, name), args);                                                         \
  }                                                                                                                    \
  static mos_status Table##_##name##_invoke(mos_any_function function, void *self, void *const *args) {                \
    typedef mos_status (*called)(void *, P1, mos_error *);                                                             \
    return ((called)function)(self, *(P1 *)args[0], *(mos_error **)args[1]);                                           \
  }
#define MOS_SERVICE_THUNKS_2(Table, name, P1, P2)                                                                      \
  static mos_status Table##_##name##_entry(void *self, P1 a1, P2 a2, mos_error *error) {                               \
    void *const args[] = {(void *)&a1, (void *)&a2, (void *)&error};                                                   \
    mos_forwarder_v1 *to = (mos_forwarder_v1 *)self;                                                                   \
    return to->call(to, MOS_SERVICE_INDEX(Table, name), args);                                                         \
  }                                                                                                                    \
  static mos_status Table##_##name##_invoke(mos_any_function function, void *self, void *const *args) {                \
    typedef mos_status (*called)(void *, P1, P2, mos_error *);                                                         \
    return ((called)function)(self, *(P1 *)args[0], *(P2 *)args[1], *(mos_error **)args[2]);                           \
  }
#define MOS_SERVICE_THUNKS_3(Table, name, P1, P2, P3)                                                                  \
  static mos_status Table##_##name##_entry(void *self, P1 a1, P2 a2, P3 a3, mos_error *error) {                        \
    void *const args[] = {(void *)&a1, (void *)&a2, (void *)&a3, (void *)&error};                                      \
    mos_forwarder_v1 *to = (mos_forwarder_v1 *)self;                                                                   \
    return to->call(to, MOS_SERVICE_INDEX(Table, name), args);                                                         \
  }                                                                                                                    \
  static mos_status Table##_##name##_invoke(mos_any_function function, void *self, void *const *args) {                \
    typedef mos_status (*called)(void *, P1, P2, P3, mos_error *);                                                     \
    return ((called)function)(self, *(P1 *)args[0], *(P2 *)args[1], *(P3 *)args[2], *(mos_error **)args[3]);           \
  }
#define MOS_SERVICE_THUNKS_4(Table, name, P1, P2, P3, P4)                                                              \
  static mos_status Table##_##name##_entry(void *self, P1 a1, P2 a2, P3 a3, P4 a4, mos_error *error) {                 \
    void *const args[] = {(void *)&a1, (void *)&a2, (void *)&a3, (void *)&a4, (void *)&error};                         \
    mos_forwarder_v1 *to = (mos_forwarder_v1 *)self;                                                                   \
    return to->call(to, MOS_SERVICE_INDEX(Table, name), args);                                                         \
  }                                                                                                                    \
  static mos_status Table##_##name##_invoke(mos_any_function function, void *self, void *const *args) {                \
    typedef mos_status (*called)(void *, P1, P2, P3, P4, mos_error *);                                                 \
    return ((called)function)(self, *(P1 *)args[0], *(P2 *)args[1], *(P3 *)args[2], *(P4 *)args[3],                    \
                              *(mos_error **)args[4]);                                                                 \
  }
#define MOS_SERVICE_THUNKS_5(Table, name, P1, P2, P3, P4, P5)                                                          \
  static mos_status Table##_##name##_entry(void *self, P1 a1, P2 a2, P3 a3, P4 a4, P5 a5, mos_error *error) {          \
    void *const args[] = {(void *)&a1, (void *)&a2, (void *)&a3, (void *)&a4, (void *)&a5, (void *)&error};            \
    mos_forwarder_v1 *to = (mos_forwarder_v1 *)self;                                                                   \
    return to->call(to, MOS_SERVICE_INDEX(Table, name), args);                                                         \
  }                                                                                                                    \
  static mos_status Table##_##name##_invoke(mos_any_function function, void *self, void *const *args) {                \
    typedef mos_status (*called)(void *, P1, P2, P3, P4, P5, mos_error *);                                             \
    return ((called)function)(self, *(P1 *)args[0], *(P2 *)args[1], *(P3 *)args[2], *(P4 *)args[3], *(P5 *)args[4],    \
                              *(mos_error **)args[5]);                                                                 \
  }
#define MOS_SERVICE_THUNKS_6(Table, name, P1, P2, P3, P4, P5, P6)                                                      \
  static mos_status Table##_##name##_entry(void *self, P1 a1, P2 a2, P3 a3, P4 a4, P5 a5, P6 a6, mos_error *error) {   \
    void *const args[] = {                                                                                             \
        (void *)&a1, (void *)&a2, (void *)&a3, (void *)&a4, (void *)&a5, (void *)&a6, (void *)&error};                 \
    mos_forwarder_v1 *to = (mos_forwarder_v1 *)self;                                                                   \
    return to->call(to, MOS_SERVICE_INDEX(Table, name), args);                                                         \
  }                                                                                                                    \
  static mos_status Table##_##name##_invoke(mos_any_function function, void *self, void *const *args) {                \
    typedef mos_status (*called)(void *, P1, P2, P3, P4, P5, P6, mos_error *);                                         \
    return ((called)function)(self, *(P1 *)args[0], *(P2 *)args[1], *(P3 *)args[2], *(P4 *)args[3], *(P5 *)args[4],    \
                              *(P6 *)args[5], *(mos_error **)args[6]);                                                 \
  }

MOS_END_C

#endif
