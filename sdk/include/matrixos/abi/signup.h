/*
 * matrixos/abi/signup.h: the service "matrixos.signup/1", which gives people who are new an instance.
 *
 * Webhooks of a provider of identities use it from inside; who lets people in by another way calls it (the plugin
 * identity does at the first sign-in, where [identity] allow_sign_up says so).
 */
#ifndef MATRIXOS_ABI_SIGNUP_H
#define MATRIXOS_ABI_SIGNUP_H

#include "base.h"
#include "service.h"

MOS_BEGIN_C

#define MOS_SIGNUP_1 "matrixos.signup/1"
#define MOS_SIGNUP_1_MINOR 0

typedef struct mos_signup_v1 {
  uint32_t struct_size;
  uint32_t minor;
  void *self;

  /*
   * [executor] Signs a user up, unless they have. user_id is the provider's (OpenID Connect's `sub`), 1 to 128
   * printable ASCII characters, and becomes the instance's clerkUserId; email and username may be empty. Durable on
   * return; the instance comes later, also when the engine is away. Answers with the sign-up, new or not:
   *   {"id", "userId", "email", "handle", "wantedHandle", "state": "waiting|provisioning|done|failed|deleting|deleted",
   *    "attempts", "lastError", "nextTryAt": RFC 3339 or null, "receivedAt"}
   * Fails: MOS_INVALID_ARGUMENT a bad user_id (BAD_USER_ID) · MOS_FAILED_PRECONDITION the provider has deleted the user
   * (USER_DELETED) · MOS_UNAVAILABLE database locked or gone.
   */
  mos_status (*enqueue)(void *self, const mos_call *call, mos_str user_id, mos_str email, mos_str username,
                        mos_buf *out_json, mos_error *error);
} mos_signup_v1;
MOS_PIN(mos_signup_v1, struct_size, 0);
MOS_PIN(mos_signup_v1, minor, 4);
MOS_PIN(mos_signup_v1, self, 8);
MOS_PIN(mos_signup_v1, enqueue, 16);

/* Described for the host, see service.h. */
#define MOS_FUNCTIONS_OF_SIGNUP_1(F)                                                                                   \
  F(5, mos_signup_v1, enqueue, "csssb", MOS_FUNCTION_BLOCKS | MOS_FUNCTION_REPEATABLE, 0,                              \
    (const mos_call *, mos_str, mos_str, mos_str, mos_buf *))

MOS_END_C

#endif
