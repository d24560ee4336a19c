/*
 * matrixos/abi/base.h: the types that every other header of the contract is made of.
 *
 * The contract is C11 and also compiles as C++17. Only what these headers declare crosses the border between the
 * daemon (the host) and a plugin: fixed-width integers, pointers, and structs made of them. No C++ type, exception,
 * allocator, enum, bool, long, size_t or bit field crosses, so that a plugin built by another compiler, against
 * another C++ library or in another language keeps loading for years.
 *
 * Three things are versioned apart:
 *   1. the ABI major, in the name of the entry function (mos_plugin_entry_v1);
 *   2. struct tails: a growing struct starts with struct_size, fields are only ever appended, and a reader guards
 *      every appended field with MOS_HAS;
 *   3. interfaces: an id with a major ("matrixos.runtime/1") and a minor in the table.
 * Structs that stand in arrays, and mos_error, are frozen: they never grow. The static assertions pin every offset.
 *
 * Ownership: arguments are borrowed for the duration of the call. What a callee hands over is a mos_buf, which
 * carries its own release. Handles are numbers; a stale handle is an error, never a crash.
 *
 * Thread tags in the comments:
 *   [lifecycle]   called on the host's lifecycle thread for this plugin, one at a time
 *   [any-thread]  may be called from any thread, concurrently
 *   [executor]    called on a thread of the host's executor, where blocking is allowed
 *   [loop]        must return at once: no blocking call, no lock held across I/O
 */
#ifndef MATRIXOS_ABI_BASE_H
#define MATRIXOS_ABI_BASE_H

#include <stddef.h> /* offsetof, for the assertions only */
#include <stdint.h>

#ifdef __cplusplus
#define MOS_STATIC_ASSERT(cond, text) static_assert(cond, text)
#define MOS_BEGIN_C extern "C" {
#define MOS_END_C }
#else
#define MOS_STATIC_ASSERT(cond, text) _Static_assert(cond, text)
#define MOS_BEGIN_C
#define MOS_END_C
#endif

#define MOS_EXPORT __attribute__((visibility("default")))

/* Pins a field: its offset is part of the contract. */
#define MOS_PIN(type, field, at) MOS_STATIC_ASSERT(offsetof(type, field) == (at), #type "." #field " moved")
/* Pins a whole struct. Growing structs pin the size of their first release through their last field instead. */
#define MOS_PIN_SIZE(type, size) MOS_STATIC_ASSERT(sizeof(type) == (size), #type " changed size")

/* True when the struct behind `p`, as its maker built it, is long enough to hold `field`, and the field is set. */
#define MOS_HAS(p, type, field) ((p)->struct_size >= offsetof(type, field) + sizeof((p)->field) && (p)->field != 0)

MOS_STATIC_ASSERT(sizeof(void *) == 8 && sizeof(int) == 4 && sizeof(long) == 8, "the ABI is LP64");

MOS_BEGIN_C

/* ---------------------------------------------------------------------------------------------------- versions */

#define MOS_ABI_MAJOR 1
/* Minor of the host described by these headers. A plugin names the lowest one it can live with. */
#define MOS_HOST_MINOR 1
/* Every descriptor carries it: "MOS1" in little endian. */
#define MOS_MAGIC UINT32_C(0x31534f4d)

/* ---------------------------------------------------------------------------------------------------- statuses */

/* Result of a call. The numbers are those of gRPC (https://grpc.io/docs/guides/status-codes/). */
typedef int32_t mos_status;

#define MOS_OK 0
#define MOS_CANCELLED 1
#define MOS_UNKNOWN 2
#define MOS_INVALID_ARGUMENT 3
#define MOS_DEADLINE_EXCEEDED 4
#define MOS_NOT_FOUND 5
#define MOS_ALREADY_EXISTS 6
#define MOS_PERMISSION_DENIED 7
#define MOS_RESOURCE_EXHAUSTED 8
#define MOS_FAILED_PRECONDITION 9
#define MOS_ABORTED 10
#define MOS_OUT_OF_RANGE 11
#define MOS_UNIMPLEMENTED 12
#define MOS_INTERNAL 13
#define MOS_UNAVAILABLE 14
#define MOS_DATA_LOSS 15
#define MOS_UNAUTHENTICATED 16

/* ------------------------------------------------------------------------------------------------ plain values */

/* Borrowed text: UTF-8, not NUL-terminated. `ptr` may be NULL when `len` is 0. Frozen. */
typedef struct mos_str {
  const char *ptr;
  uint64_t len;
} mos_str;
MOS_PIN(mos_str, ptr, 0);
MOS_PIN(mos_str, len, 8);
MOS_PIN_SIZE(mos_str, 16);

/* A name with a value: log fields, metric labels, HTTP headers. Frozen. */
typedef struct mos_pair {
  mos_str key;
  mos_str value;
} mos_pair;
MOS_PIN(mos_pair, key, 0);
MOS_PIN(mos_pair, value, 16);
MOS_PIN_SIZE(mos_pair, 32);

/*
 * Owned bytes. The maker sets `release`; whoever receives a filled buffer calls release(buf) once, unless release is
 * NULL (nothing to free). A callee leaves the buffer untouched when it fails. Callers pass it zeroed. Frozen.
 */
typedef struct mos_buf {
  char *ptr;
  uint64_t len;
  void *owner; /* for the maker's use in release */
  void (*release)(struct mos_buf *buf);
} mos_buf;
MOS_PIN(mos_buf, ptr, 0);
MOS_PIN(mos_buf, len, 8);
MOS_PIN(mos_buf, owner, 16);
MOS_PIN(mos_buf, release, 24);
MOS_PIN_SIZE(mos_buf, 32);

#define MOS_REASON_SIZE 48
#define MOS_MESSAGE_SIZE 452

/*
 * What went wrong, in the caller's memory, so that reporting an error never allocates. Pointers to it may be NULL.
 * Both texts are NUL-terminated and cut to fit at a character boundary. Frozen.
 */
typedef struct mos_error {
  mos_status status;
  int64_t retry_after_ms;         /* how long to wait before trying again; 0 = no advice */
  char reason[MOS_REASON_SIZE];   /* stable word for programs, UPPER_SNAKE_CASE, e.g. IMAGE_NOT_FOUND; may be empty */
  char message[MOS_MESSAGE_SIZE]; /* a sentence for people: what failed and what to do about it */
  uint32_t reserved;
} mos_error;
MOS_PIN(mos_error, status, 0);
MOS_PIN(mos_error, retry_after_ms, 8);
MOS_PIN(mos_error, reason, 16);
MOS_PIN(mos_error, message, 64);
MOS_PIN_SIZE(mos_error, 520);

/* ------------------------------------------------------------------------------------------------ call context */

#define MOS_NO_DEADLINE INT64_MAX

/*
 * Travels with every call that may take time. The callee stops early, with MOS_DEADLINE_EXCEEDED or MOS_CANCELLED,
 * when deadline_ns has passed or cancelled() answers 1; cancel_fd becomes readable at the same moment, so that a
 * callee can poll it beside its socket. Made by the caller, valid until the call returns.
 */
typedef struct mos_call {
  uint32_t struct_size;
  int32_t cancel_fd;    /* -1: none, poll cancelled() instead; never read from it or close it */
  int64_t deadline_ns;  /* on CLOCK_MONOTONIC, or MOS_NO_DEADLINE */
  mos_str operation_id; /* a mutation repeated with the same id takes effect once; may be empty */
  mos_str trace_id;     /* for logs and for headers to others; may be empty */
  void *ctx;
  int32_t (*cancelled)(const struct mos_call *call); /* [any-thread] 1 or 0; NULL: never cancelled */
} mos_call;
MOS_PIN(mos_call, struct_size, 0);
MOS_PIN(mos_call, cancel_fd, 4);
MOS_PIN(mos_call, deadline_ns, 8);
MOS_PIN(mos_call, operation_id, 16);
MOS_PIN(mos_call, trace_id, 32);
MOS_PIN(mos_call, ctx, 48);
MOS_PIN(mos_call, cancelled, 56);

#define MOS_SINK_CONTINUE 0
#define MOS_SINK_STOP 1

/*
 * Receives a stream: one item at a time, in order, before the call that was given the sink returns. The item is
 * borrowed. After MOS_SINK_STOP the producer sends nothing more and returns MOS_OK. The host may call a consumer's sink
 * on another thread than the one that waits for the call; never once that call has returned. Frozen.
 */
typedef struct mos_sink {
  void *ctx;
  int32_t (*item)(void *ctx, mos_str item);
} mos_sink;
MOS_PIN(mos_sink, ctx, 0);
MOS_PIN(mos_sink, item, 8);
MOS_PIN_SIZE(mos_sink, 16);

/*
 * Answers a call that does not block. When the call returns MOS_OK the callee calls done exactly once, on any thread,
 * possibly before the call itself returns; when the call returns a failure, done is never called. `json` is borrowed
 * and empty on failure; `error` is NULL on success. done() must not block. Frozen.
 */
typedef struct mos_completion {
  void *ctx;
  void (*done)(void *ctx, mos_status status, mos_str json, const mos_error *error);
} mos_completion;
MOS_PIN(mos_completion, ctx, 0);
MOS_PIN(mos_completion, done, 8);
MOS_PIN_SIZE(mos_completion, 16);

MOS_END_C

#endif
