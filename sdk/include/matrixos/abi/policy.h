/*
 * matrixos/abi/policy.h: the service "matrixos.policy/1", who may reach an instance.
 *
 * The proxy asks its policies about each request to an instance, in the order of [proxy] policies, before anything is
 * woken or sent, and also for handles that nobody has. The first one that does not allow it ends the chain. A policy
 * that does not run, fails, or gives no verdict denies: 503.
 *
 * It asks again, about once a second, for as long as a WebSocket stands or an answer goes on, and breaks off what a
 * policy no longer allows, or allows somebody else: whoever signs out or is shut out leaves at once. It also asks again
 * before a request goes on to an instance that it has waited for, and refuses it then. PENDING leaves it as it is
 * there; where a policy fails, what stands is broken off after five seconds.
 *
 * A plugin that provides it names the instance of the service like itself:
 *
 *   static const mos_provide provides[] = {{MOS_POLICY_1, "office-hours", MOS_POLICY_1_MINOR, 0}};
 */
#ifndef MATRIXOS_ABI_POLICY_H
#define MATRIXOS_ABI_POLICY_H

#include "base.h"
#include "service.h"

MOS_BEGIN_C

#define MOS_POLICY_1 "matrixos.policy/1"
#define MOS_POLICY_1_MINOR 0

#define MOS_VERDICT_ALLOW UINT32_C(1)
#define MOS_VERDICT_DENY UINT32_C(2)
#define MOS_VERDICT_REDIRECT UINT32_C(3)
#define MOS_VERDICT_PENDING UINT32_C(4) /* not known without waiting: decide() is called */

/* Flags of a request. */
#define MOS_REQUEST_NAVIGATION UINT32_C(1) /* a browser opens a page: it can be sent somewhere else */
#define MOS_REQUEST_WEBSOCKET UINT32_C(2)
#define MOS_REQUEST_BY_PATH UINT32_C(4)  /* below /proxy/{handle}/ of one of the platform's hosts */
#define MOS_REQUEST_STANDING UINT32_C(8) /* it was allowed and goes on: of ALLOW the principal counts */

/* The verdict on one request; zeroed but for struct_size and what it says. All texts are borrowed for answer(). */
typedef struct mos_policy_verdict {
  uint32_t struct_size;
  uint32_t verdict;
  uint32_t status; /* DENY: 400 to 599, else 403; REDIRECT: 302, 303, 307 or 308, else 302 */
  uint32_t fields_count;
  mos_str message;   /* DENY: one sentence for who asks */
  mos_str location;  /* REDIRECT: a path of the same host, or an absolute http(s) URL */
  mos_str principal; /* who asks, for the log: "user:2abc"; of several policies' the first */
  /*
   * ALLOW: header fields of the request to the instance; what the client sent under these names is dropped, also in
   * spellings that frameworks take for the same (_ and . for -). DENY, REDIRECT: fields of the answer. Names that frame
   * a message, name its host or say where it comes from are refused, and the request with them.
   */
  const mos_pair *fields;
} mos_policy_verdict;
MOS_PIN(mos_policy_verdict, struct_size, 0);
MOS_PIN(mos_policy_verdict, verdict, 4);
MOS_PIN(mos_policy_verdict, status, 8);
MOS_PIN(mos_policy_verdict, fields_count, 12);
MOS_PIN(mos_policy_verdict, message, 16);
MOS_PIN(mos_policy_verdict, location, 32);
MOS_PIN(mos_policy_verdict, principal, 48);
MOS_PIN(mos_policy_verdict, fields, 64);

/* A request, as the client sent it. All of it is borrowed for the call. */
typedef struct mos_policy_request {
  uint32_t struct_size;
  uint32_t flags;
  mos_str method;
  mos_str host;           /* the Host field, with its port */
  mos_str handle;         /* whose instance is asked for */
  mos_str path;           /* as the instance would get it, still percent-encoded */
  mos_str query;          /* without the ? */
  mos_str scheme;         /* of the client: "http" or "https" */
  mos_str client;         /* the client's address */
  mos_str request_id;     /* the one in the logs */
  const mos_pair *fields; /* of the header, as they came */
  uint32_t fields_count;
  uint32_t reserved;
  /* [loop] Gives the verdict; once, inside check(). */
  void (*answer)(const struct mos_policy_request *request, const mos_policy_verdict *verdict);
} mos_policy_request;
MOS_PIN(mos_policy_request, struct_size, 0);
MOS_PIN(mos_policy_request, flags, 4);
MOS_PIN(mos_policy_request, method, 8);
MOS_PIN(mos_policy_request, host, 24);
MOS_PIN(mos_policy_request, handle, 40);
MOS_PIN(mos_policy_request, path, 56);
MOS_PIN(mos_policy_request, query, 72);
MOS_PIN(mos_policy_request, scheme, 88);
MOS_PIN(mos_policy_request, client, 104);
MOS_PIN(mos_policy_request, request_id, 120);
MOS_PIN(mos_policy_request, fields, 136);
MOS_PIN(mos_policy_request, fields_count, 144);
MOS_PIN(mos_policy_request, answer, 152);

typedef struct mos_policy_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;

  /*
   * [loop] Calls request->answer() once and returns MOS_OK. For each request, on the threads that carry all others: a
   * microsecond is much.
   */
  mos_status (*check)(void *self, const mos_policy_request *request, mos_error *error);

  /*
   * [loop] After PENDING. Takes what it needs of the request and answers later through done, before the deadline of the
   * call: {"verdict": "allow" | "deny" | "redirect", "status", "message", "location", "principal",
   * "fields": [[name, value]…]}, all but the first optional. answer() is NULL here. NULL where check() is never
   * PENDING.
   */
  mos_status (*decide)(void *self, const mos_call *call, const mos_policy_request *request, mos_completion done,
                       mos_error *error);
} mos_policy_v1;
MOS_PIN(mos_policy_v1, struct_size, 0);
MOS_PIN(mos_policy_v1, minor, 4);
MOS_PIN(mos_policy_v1, self, 8);
MOS_PIN(mos_policy_v1, check, 16);
MOS_PIN(mos_policy_v1, decide, 24);

/* Described for the host, see service.h. */
#define MOS_FUNCTIONS_OF_POLICY_1(F)                                                                                   \
  F(1, mos_policy_v1, check, "r", 0, 0, (const mos_policy_request *))                                                  \
  F(3, mos_policy_v1, decide, "crd", 0, 0, (const mos_call *, const mos_policy_request *, mos_completion))

MOS_END_C

#endif
