/*
 * matrixos/abi/orchestrator.h: the service "matrixos.orchestrator/1", which instances exist and in which state.
 *
 * Instance JSON, wherever one is handed out:
 *   {"id": ULID, "handle", "clerkUserId", "containerId", "port", "shellPort", "status", "createdAt", "lastActive",
 *    "rev": revision of this record, "generation", "phase", "desired": "running|stopped|deleted", "runtime",
 *    "image", "imageDigest", "lastError", "activitySeq",
 *    "endpoints": [{"name": "gateway|shell", "address", "port", "scope", "epoch"}…]}
 *   status: "provisioning" "running" "stopped" "sleeping" "failed" "deleting". Times are RFC 3339 in UTC with ms.
 *   port and shellPort are 0 where the runtime publishes none. endpoints are best first, empty unless running.
 */
#ifndef MATRIXOS_ABI_ORCHESTRATOR_H
#define MATRIXOS_ABI_ORCHESTRATOR_H

#include "base.h"
#include "service.h"

MOS_BEGIN_C

#define MOS_ORCHESTRATOR_1 "matrixos.orchestrator/1"
#define MOS_ORCHESTRATOR_1_MINOR 1

/* One use of an instance, for record_activity(). Frozen. */
typedef struct mos_activity {
  mos_str handle;
  int64_t at_ms;  /* wall clock, ms since the epoch */
  uint64_t count; /* how many requests or data frames since the last report; 0 counts as 1 */
} mos_activity;
MOS_PIN(mos_activity, handle, 0);
MOS_PIN(mos_activity, at_ms, 16);
MOS_PIN(mos_activity, count, 24);
MOS_PIN_SIZE(mos_activity, 32);

/*
 * Receives the records: first all that exist (rev of each), then `synced` once, then every change in the order of
 * rev. A deleted record arrives as {"handle", "id", "rev", "status": "deleted"}. Called one at a time on a thread of
 * the orchestrator; borrowed arguments. Frozen.
 */
typedef struct mos_instance_watcher {
  void *ctx;
  void (*changed)(void *ctx, uint64_t rev, mos_str handle, mos_str instance_json);
  void (*synced)(void *ctx, uint64_t rev);
} mos_instance_watcher;
MOS_PIN(mos_instance_watcher, ctx, 0);
MOS_PIN(mos_instance_watcher, changed, 8);
MOS_PIN(mos_instance_watcher, synced, 16);
MOS_PIN_SIZE(mos_instance_watcher, 24);

typedef struct mos_orchestrator_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;

  /*
   * Commands, [loop]: they return at once and answer through `done`, with the instance's JSON, when the work has
   * ended. MOS_RESOURCE_EXHAUSTED (returned, done not called) when too much is queued. One operation runs at a time
   * per instance; a start that arrives while the instance is being stopped is queued and wins.
   * The deadline in `call` bounds the waiting, not the work: an accepted intent is carried on.
   *
   * provision: MOS_ALREADY_EXISTS when handle or user is taken by another, MOS_INVALID_ARGUMENT for a bad handle,
   * MOS_UNAVAILABLE when the engine failed (and everything was undone). The same pair again: the existing instance.
   */
  mos_status (*provision)(void *self, const mos_call *call, mos_str handle, mos_str clerk_user_id, mos_completion done,
                          mos_error *error);
  mos_status (*start)(void *self, const mos_call *call, mos_str handle, mos_completion done, mos_error *error);
  /*
   * if_activity_seq: stop only while the instance's activitySeq still equals this, else MOS_ABORTED; UINT64_MAX:
   * always. reason is kept in the log and the event ("idle", "operator").
   */
  mos_status (*stop)(void *self, const mos_call *call, mos_str handle, uint64_t if_activity_seq, mos_str reason,
                     mos_completion done, mos_error *error);
  mos_status (*destroy)(void *self, const mos_call *call, mos_str handle, mos_completion done, mos_error *error);

  /* Look-ups from memory, [any-thread], quick. MOS_NOT_FOUND for an unknown handle. */
  mos_status (*get)(void *self, mos_str handle, mos_buf *out_json, mos_error *error);
  /* Instances with this status ("" for all), newest first, one item each. */
  mos_status (*list)(void *self, mos_str status, mos_sink items, mos_error *error);

  /*
   * since_rev: 0 for everything, else only records newer than that are sent before `synced`. When the provider is
   * restarted the watcher gets everything anew, and `synced` again; records that are then missing are gone.
   */
  mos_status (*watch)(void *self, uint64_t since_rev, mos_instance_watcher watcher, uint64_t *out_watch,
                      mos_error *error);
  /* After it returns the watcher is not called again, unless called from inside it. */
  mos_status (*unwatch)(void *self, uint64_t watch, mos_error *error);

  /* [any-thread] Notes use: lastActive and activitySeq change at once in memory, in batches on disk. */
  mos_status (*record_activity)(void *self, const mos_activity *items, uint32_t count, mos_error *error);

  /*
   * Minor 1; consumers look with MOS_HAS. [any-thread] From memory, quick. Whose instance token that is: {"id",
   * "handle", "bound": bool, "addresses": ["172.18.0.5"…]}; MOS_NOT_FOUND: nobody's. Each container is given a token of
   * its own as ANTHROPIC_API_KEY and MATRIX_TOKEN, "mxi_" and 43 characters of base64url; it ends with the container.
   * bound: requests with it may come from those addresses alone. There are none while the instance does not run, and
   * for a moment after its program has begun: a refusal then has to say that it may be tried again.
   */
  mos_status (*token_owner)(void *self, mos_str token, mos_buf *out_json, mos_error *error);
  /*
   * Minor 1. What the runtime that carries the instances says of itself: capabilities() of runtime.h, with its
   * "hostGateway" where it has one. Fails as that does.
   */
  mos_status (*runtime_capabilities)(void *self, const mos_call *call, mos_buf *out_json, mos_error *error);
} mos_orchestrator_v1;
MOS_PIN(mos_orchestrator_v1, struct_size, 0);
MOS_PIN(mos_orchestrator_v1, minor, 4);
MOS_PIN(mos_orchestrator_v1, self, 8);
MOS_PIN(mos_orchestrator_v1, provision, 16);
MOS_PIN(mos_orchestrator_v1, start, 24);
MOS_PIN(mos_orchestrator_v1, stop, 32);
MOS_PIN(mos_orchestrator_v1, destroy, 40);
MOS_PIN(mos_orchestrator_v1, get, 48);
MOS_PIN(mos_orchestrator_v1, list, 56);
MOS_PIN(mos_orchestrator_v1, watch, 64);
MOS_PIN(mos_orchestrator_v1, unwatch, 72);
MOS_PIN(mos_orchestrator_v1, record_activity, 80);
MOS_PIN(mos_orchestrator_v1, token_owner, 88);
MOS_PIN(mos_orchestrator_v1, runtime_capabilities, 96);

/* Described for the host, see service.h. */
#define MOS_FUNCTIONS_OF_ORCHESTRATOR_1(F)                                                                             \
  F(4, mos_orchestrator_v1, provision, "cssd", 0, 0, (const mos_call *, mos_str, mos_str, mos_completion))             \
  F(3, mos_orchestrator_v1, start, "csd", 0, 0, (const mos_call *, mos_str, mos_completion))                           \
  F(5, mos_orchestrator_v1, stop, "csUsd", 0, 0, (const mos_call *, mos_str, uint64_t, mos_str, mos_completion))       \
  F(3, mos_orchestrator_v1, destroy, "csd", 0, 0, (const mos_call *, mos_str, mos_completion))                         \
  F(2, mos_orchestrator_v1, get, "sb", 0, 0, (mos_str, mos_buf *))                                                     \
  F(2, mos_orchestrator_v1, list, "sk", 0, 0, (mos_str, mos_sink))                                                     \
  F(3, mos_orchestrator_v1, watch, "UWt", MOS_FUNCTION_WATCH, 0, (uint64_t, mos_instance_watcher, uint64_t *))         \
  F(1, mos_orchestrator_v1, unwatch, "U", MOS_FUNCTION_UNWATCH, 0, (uint64_t))                                         \
  F(2, mos_orchestrator_v1, record_activity, "pu", 0, 0, (const mos_activity *, uint32_t))                             \
  F(2, mos_orchestrator_v1, token_owner, "sb", 0, 1, (mos_str, mos_buf *))                                             \
  F(2, mos_orchestrator_v1, runtime_capabilities, "cb", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_REPEATABLE, 1,              \
    (const mos_call *, mos_buf *))

MOS_END_C

#endif
