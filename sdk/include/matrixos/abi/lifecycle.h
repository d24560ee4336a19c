/*
 * matrixos/abi/lifecycle.h: the service "matrixos.lifecycle/1", when instances sleep and wake.
 */
#ifndef MATRIXOS_ABI_LIFECYCLE_H
#define MATRIXOS_ABI_LIFECYCLE_H

#include "base.h"
#include "orchestrator.h"
#include "service.h"

MOS_BEGIN_C

#define MOS_LIFECYCLE_1 "matrixos.lifecycle/1"
#define MOS_LIFECYCLE_1_MINOR 1

typedef struct mos_lifecycle_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;

  /*
   * [loop] Sees to it that the instance runs and answers HTTP, then calls done with
   * {"instance": {…}, "phases": {"queueMs", "engineMs", "readyMs"}}. However many callers wait for one instance, it
   * is started once. Ready means that its endpoint gave an HTTP answer of any status.
   * endpoint: which one has to be ready, "shell" or "gateway".
   * Fails through done: MOS_NOT_FOUND unknown handle · MOS_UNAVAILABLE the start failed · MOS_DEADLINE_EXCEEDED not
   * ready in time (the caller's deadline) · MOS_CANCELLED forgotten.
   * out_ticket: for forget(); 0 when done was already called.
   */
  mos_status (*ensure_running)(void *self, const mos_call *call, mos_str handle, mos_str endpoint, mos_completion done,
                               uint64_t *out_ticket, mos_error *error);
  /* [loop] The caller no longer waits: done is called with MOS_CANCELLED, unless it was called already. */
  mos_status (*forget)(void *self, uint64_t ticket, mos_error *error);

  /* [loop] Notes use of instances; cheap, kept in memory and passed on in batches within a second. */
  mos_status (*report_activity)(void *self, const mos_activity *items, uint32_t count, mos_error *error);

  /* How an instance stands: {"handle", "idleMs", "stopsInMs", "activity": [{"at", "count"}…]}. */
  mos_status (*describe)(void *self, mos_str handle, mos_buf *out_json, mos_error *error);

  /*
   * [loop] Minor 1; consumers look with MOS_HAS. These instances have an exchange under way, whether or not anything
   * moves in it; what moves is reported as activity. To be said again several times a second for as long as it lasts.
   * Such an instance counts as used until nothing has moved for the time that the provider grants a silent stream.
   */
  mos_status (*report_open)(void *self, const mos_str *handles, uint32_t count, mos_error *error);
} mos_lifecycle_v1;
MOS_PIN(mos_lifecycle_v1, struct_size, 0);
MOS_PIN(mos_lifecycle_v1, minor, 4);
MOS_PIN(mos_lifecycle_v1, self, 8);
MOS_PIN(mos_lifecycle_v1, ensure_running, 16);
MOS_PIN(mos_lifecycle_v1, forget, 24);
MOS_PIN(mos_lifecycle_v1, report_activity, 32);
MOS_PIN(mos_lifecycle_v1, describe, 40);
MOS_PIN(mos_lifecycle_v1, report_open, 48);

/* Described for the host, see service.h. */
#define MOS_FUNCTIONS_OF_LIFECYCLE_1(F)                                                                                \
  F(5, mos_lifecycle_v1, ensure_running, "cssdt", 0, 0,                                                                \
    (const mos_call *, mos_str, mos_str, mos_completion, uint64_t *))                                                  \
  F(1, mos_lifecycle_v1, forget, "U", 0, 0, (uint64_t))                                                                \
  F(2, mos_lifecycle_v1, report_activity, "pu", 0, 0, (const mos_activity *, uint32_t))                                \
  F(2, mos_lifecycle_v1, describe, "sb", 0, 0, (mos_str, mos_buf *))                                                   \
  F(2, mos_lifecycle_v1, report_open, "pu", 0, 1, (const mos_str *, uint32_t))

MOS_END_C

#endif
