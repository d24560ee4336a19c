/*
 * matrixos/abi/identity.h: the service "matrixos.identity/1", who asks the API.
 *
 * The API asks its providers, in the order of [plugins] enabled, who sends a request whose route is not public and that
 * came neither through the admin socket nor with the platform's secret. The first that knows the credentials says who
 * it is; the API then compares that with the route's permission (host.h). What vouches for a request may be a signature
 * over its body: a provider that sees one says SIGNED, and is asked again once the body is there.
 *
 *   signed-in            a user or an operator
 *   owner[:manage|:use]  a user with that role or a higher one for the :handle of the route, or an operator
 *   instance             an instance
 *   operator[:scope]     an operator with that scope or "*"
 *
 * That is found out once: an answer that goes on, a stream, is not broken off when somebody may no longer have it.
 *
 * Providers are called on a few threads of the host's, several at once, which carry no requests. A call that blocks,
 * which none may, costs its own request a 503 after 20 seconds; once it has lasted for a second the provider is not
 * called for others, which get 503 at once, until it returns or the plugin starts anew. "/ready" names the plugin.
 *
 * A plugin that provides it names the instance of the service like itself.
 */
#ifndef MATRIXOS_ABI_IDENTITY_H
#define MATRIXOS_ABI_IDENTITY_H

#include "base.h"
#include "service.h"

MOS_BEGIN_C

#define MOS_IDENTITY_1 "matrixos.identity/1"
#define MOS_IDENTITY_1_MINOR 0

/* What a principal is. */
#define MOS_PRINCIPAL_UNKNOWN UINT32_C(0) /* no credentials that the provider knows: the next one is asked */
#define MOS_PRINCIPAL_USER UINT32_C(1)
#define MOS_PRINCIPAL_OPERATOR UINT32_C(2)
#define MOS_PRINCIPAL_INSTANCE UINT32_C(3)
#define MOS_PRINCIPAL_REFUSED                                                                                          \
  UINT32_C(4) /* credentials of the provider's, and they are no good: nobody else is asked */
/* These are its own, and take time: find_out() is called, and nobody else. */
#define MOS_PRINCIPAL_PENDING UINT32_C(5)
/*
 * A signature over the body vouches for the request: the body is read, at most what the route takes, and the same
 * provider is asked again, and nobody else. Of identify() alone; with the body there it is UNKNOWN. Look at all that
 * can be judged without the body first: whoever has this said makes the API wait for a body.
 */
#define MOS_PRINCIPAL_SIGNED UINT32_C(6)

/* What a user may do with an instance. */
#define MOS_ROLE_NONE UINT32_C(0)
#define MOS_ROLE_USE UINT32_C(1)
#define MOS_ROLE_MANAGE UINT32_C(2)
#define MOS_ROLE_OWNER UINT32_C(3)

/* Who it is; zeroed but for struct_size and what is said. All texts are borrowed for answer(). */
typedef struct mos_principal {
  uint32_t struct_size;
  uint32_t kind;
  uint32_t role;   /* of a user, for the handle of the request */
  uint32_t status; /* REFUSED: 403, 409 or 429, else 401 */
  mos_str id;      /* for handlers and logs: "user:2abc", "token:deploy", "instance:alice" */
  mos_str scopes;  /* of an operator, separated by blanks: "instances:read usage:read"; "*" is all */
  mos_str message; /* REFUSED: one sentence */
  mos_str shares;  /* of a user, as JSON: {"bob": "use" | "manage"}, the instances that others share with him; or "" */
  mos_str reason;  /* REFUSED: a word for programs, "BAD_SIGNATURE"; or "" */
} mos_principal;
MOS_PIN(mos_principal, struct_size, 0);
MOS_PIN(mos_principal, kind, 4);
MOS_PIN(mos_principal, role, 8);
MOS_PIN(mos_principal, status, 12);
MOS_PIN(mos_principal, id, 16);
MOS_PIN(mos_principal, scopes, 32);
MOS_PIN(mos_principal, message, 48);
MOS_PIN(mos_principal, shares, 64);
MOS_PIN(mos_principal, reason, 80);

/* A request to the API. All of it is borrowed for the call. */
typedef struct mos_identity_request {
  uint32_t struct_size;
  uint32_t fields_count;
  mos_str method;
  mos_str host;           /* the Host field, with its port */
  mos_str path;           /* decoded, without the query */
  mos_str permission;     /* that the route asks for */
  mos_str handle;         /* the :handle of the route, or "" */
  mos_str request_id;     /* the one in the logs */
  const mos_pair *fields; /* of the header, as they came */
  /* [loop] Says who it is; once, inside identify(). */
  void (*answer)(const struct mos_identity_request *request, const mos_principal *principal);
  uint32_t has_body; /* 1 after SIGNED */
  uint32_t reserved;
  mos_str body; /* then, as it came, without its framing; may be empty */
} mos_identity_request;
MOS_PIN(mos_identity_request, struct_size, 0);
MOS_PIN(mos_identity_request, fields_count, 4);
MOS_PIN(mos_identity_request, method, 8);
MOS_PIN(mos_identity_request, host, 24);
MOS_PIN(mos_identity_request, path, 40);
MOS_PIN(mos_identity_request, permission, 56);
MOS_PIN(mos_identity_request, handle, 72);
MOS_PIN(mos_identity_request, request_id, 88);
MOS_PIN(mos_identity_request, fields, 104);
MOS_PIN(mos_identity_request, answer, 112);
MOS_PIN(mos_identity_request, has_body, 120);
MOS_PIN(mos_identity_request, body, 128);

typedef struct mos_identity_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;

  /* [loop] Calls request->answer() once and returns MOS_OK. */
  mos_status (*identify)(void *self, const mos_identity_request *request, mos_error *error);

  /*
   * [loop] After PENDING. Takes what it needs of the request and answers later through done, before the deadline of the
   * call: {"kind": "user" | "operator" | "instance" | "refused" | "unknown", "role": "none" | "use" | "manage" |
   * "owner", "status", "id", "scopes", "message", "shares", "reason"}, all but the first optional. answer() is NULL
   * here. NULL where identify() is never PENDING.
   */
  mos_status (*find_out)(void *self, const mos_call *call, const mos_identity_request *request, mos_completion done,
                         mos_error *error);
} mos_identity_v1;
MOS_PIN(mos_identity_v1, struct_size, 0);
MOS_PIN(mos_identity_v1, minor, 4);
MOS_PIN(mos_identity_v1, self, 8);
MOS_PIN(mos_identity_v1, identify, 16);
MOS_PIN(mos_identity_v1, find_out, 24);

/* Described for the host, see service.h. */
#define MOS_FUNCTIONS_OF_IDENTITY_1(F)                                                                                 \
  F(1, mos_identity_v1, identify, "r", 0, 0, (const mos_identity_request *))                                           \
  F(3, mos_identity_v1, find_out, "crd", 0, 0, (const mos_call *, const mos_identity_request *, mos_completion))

MOS_END_C

#endif
