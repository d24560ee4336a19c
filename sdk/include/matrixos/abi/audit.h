/*
 * matrixos/abi/audit.h: the service "matrixos.audit/1", what people did, kept so that nobody changes it unseen.
 *
 * The API tells every enabled provider of each request to a route that changes something, allowed or refused, and of
 * what operators read about an instance. Plugins tell it what happens beside the API, such as a share that was given,
 * and what comes of public routes at or below /auth, of which the API tells nothing: that somebody signed in, or was
 * refused. What the platform does by itself is not in it.
 *
 * An event is a JSON object of at most MOS_AUDIT_EVENT_SIZE bytes with these members, all but the first optional:
 *
 *   action     of the API its method and the pattern of the route, "POST /containers/:handle/start"; else some words:
 *              "sign-in"
 *   source     the id of the plugin that tells it; the API has none
 *   principal  who did it: "user:2abc", "token:deploy", "uid:0"
 *   kind       "user", "operator", "instance" or "public"
 *   address    of the client, "203.0.113.7"
 *   requestId  the one in the logs
 *   handle     of the instance that it is about
 *   status     number: of the API's answer; 0 when there was none
 *   reason     of a failure: "FORBIDDEN"
 *   before, after   status of the instance, "running"
 *   target     an object of texts: the parameters of the path
 *   given      an object of texts: what was asked for, such as {"role": "manage"}; never a secret
 *
 * A text has at most MOS_AUDIT_TEXT_SIZE bytes, and action, principal and handle no control characters; an object has
 * at most 16 members.
 *
 * A plugin that provides it names the instance of the service like itself.
 */
#ifndef MATRIXOS_ABI_AUDIT_H
#define MATRIXOS_ABI_AUDIT_H

#include "base.h"
#include "service.h"

MOS_BEGIN_C

#define MOS_AUDIT_1 "matrixos.audit/1"
#define MOS_AUDIT_1_MINOR 0

#define MOS_AUDIT_EVENT_SIZE 16384
#define MOS_AUDIT_TEXT_SIZE 512

typedef struct mos_audit_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;

  /*
   * [loop] Takes an event, and answers through done once it is durable, or cannot be kept: MOS_INVALID_ARGUMENT a
   * malformed event (BAD_EVENT) · MOS_RESOURCE_EXHAUSTED the disk is full, or, at once, too many events wait
   * (AUDIT_FULL). Whoever shows what happened waits for it.
   */
  mos_status (*record)(void *self, const mos_call *call, mos_str event_json, mos_completion done, mos_error *error);

  /* [loop] The same for events that nobody waits for. */
  mos_status (*note)(void *self, mos_str event_json, mos_error *error);
} mos_audit_v1;
MOS_PIN(mos_audit_v1, struct_size, 0);
MOS_PIN(mos_audit_v1, minor, 4);
MOS_PIN(mos_audit_v1, self, 8);
MOS_PIN(mos_audit_v1, record, 16);
MOS_PIN(mos_audit_v1, note, 24);

/* Described for the host, see service.h. */
#define MOS_FUNCTIONS_OF_AUDIT_1(F)                                                                                    \
  F(3, mos_audit_v1, record, "cjd", 0, 0, (const mos_call *, mos_str, mos_completion))                                 \
  F(1, mos_audit_v1, note, "j", 0, 0, (mos_str))

MOS_END_C

#endif
